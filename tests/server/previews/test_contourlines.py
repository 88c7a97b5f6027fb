"""Lines of equal height: those of a paraboloid are ellipses, those of a plane straight."""

from __future__ import annotations

import numpy as np
import pytest

from uws_server.previews.contourlines import lines

X, Y = np.linspace(-3, 3, 61), np.linspace(-4, 4, 81)


@pytest.mark.parametrize("level", [1.0, 2.3, 4.61])
def test_a_contour_of_a_paraboloid_is_one_closed_ellipse(level: float) -> None:
    heights = (X[None, :] / 1.0) ** 2 + (Y[:, None] / 1.5) ** 2
    (line,) = lines(X, Y, heights, level)
    assert np.array_equal(line[0], line[-1])
    found = line[:, 0] ** 2 + (line[:, 1] / 1.5) ** 2
    assert found == pytest.approx(level, abs=0.01)
    area = 0.5 * abs(np.sum(line[:-1, 0] * line[1:, 1] - line[1:, 0] * line[:-1, 1]))
    assert area == pytest.approx(np.pi * 1.5 * level, rel=0.01)


def test_two_valleys_have_two_contours_and_an_open_one_has_ends() -> None:
    heights = np.minimum((X[None, :] - 1.5) ** 2, (X[None, :] + 1.5) ** 2) + 4 * Y[:, None] ** 2
    assert len(lines(X, Y, heights, 0.5)) == 2
    slope = X[None, :] + 0 * Y[:, None]
    (line,) = lines(X, Y, slope, 0.513)
    assert line[:, 0] == pytest.approx(0.513)
    assert {line[0, 1], line[-1, 1]} == {-4.0, 4.0}


def test_a_saddle_is_crossed_by_lines_that_do_not_meet() -> None:
    """On a grid that has the saddle in the middle of a cell, each line keeps to its side."""
    side = np.linspace(-2, 2, 40)
    for level in (-0.001, 0.001):
        found = lines(side, side, side[None, :] * side[:, None], level)
        assert len(found) == 2
        for line in found:
            assert np.sign(line[:, 0] * line[:, 1]).tolist() == [np.sign(level)] * len(line)


def test_no_number_has_no_line() -> None:
    heights = X[None, :] ** 2 + Y[:, None] ** 2
    heights[:, X > 0] = np.nan
    assert all((line[:, 0] <= 0).all() for line in lines(X, Y, heights, 1.0))
    assert lines(X, Y, np.full((81, 61), np.nan), 1.0) == []
