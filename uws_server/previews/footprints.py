"""Draws the footprints of exposures as SVG: borders by camera, a region, right ascension and declination."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt

from reduction.regions import RegionSet
from uws_server.previews import marks, svg
from uws_server.previews.cellborders import borders, coarser
from uws_server.previews.marks import Role
from uws_server.previews.skyframe import Floats, Line, SkyFrame, lon_lat

MOST_DRAWN: Final = 60
"""The most footprints of a picture."""
_MOST_CELLS: Final = 4000
"""The most cells whose border is searched for: a larger footprint is drawn by larger cells."""
_TOP, _BOTTOM, _ROW = 16, 62, 20
_MARGIN: Final = 1.12
_LEAST_DEG: Final = 1 / 60
"""Half the side of the smallest picture."""
_HATCHED: Final = 6
"""Footprints that are filled: more would cover one another."""

_KINDS: Final = 5
_STYLE: Final = """
.f{fill:none;stroke-width:2;stroke-linejoin:round}
.k0{stroke:#0b63b5;color:#0b63b5}.k1{stroke:#b3450b;color:#b3450b;stroke-dasharray:9 5}
.k2{stroke:#5b7d09;color:#5b7d09;stroke-dasharray:2 4}.k3{stroke:#8a3fa0;color:#8a3fa0;stroke-dasharray:12 4 2 4}
.k4{stroke:#4d5963;color:#4d5963;stroke-dasharray:5 3 1 3 1 3}
.h0{fill:url(#h0)}.h1{fill:url(#h1)}.h2{fill:url(#h2)}.h3{fill:url(#h3)}.h4{fill:url(#h4)}
.p{stroke-dasharray:none;stroke-width:1;stroke-opacity:.42}
.source,.region{stroke:#d4145a;stroke-width:3.5;fill:none}.background{stroke:#d4145a;stroke-width:2.5;fill:none;
stroke-dasharray:7 4}.cut{stroke-dasharray:2 3}
.net{stroke:#c3ccd2;fill:none}
@media (prefers-color-scheme:dark){.k0{stroke:#74b8ff;color:#74b8ff}.k1{stroke:#ffab74;color:#ffab74}
.k2{stroke:#b9dc62;color:#b9dc62}.k3{stroke:#dba3ee;color:#dba3ee}.k4{stroke:#b6c2ca;color:#b6c2ca}
.source,.region,.background{stroke:#ff6fa3}.net{stroke:#35424b}}
"""
_HATCHES: Final = ("M-2 8L8 -2M4 14L14 4", "M-2 2L8 12M4 -2L14 8", "M0 5h10", "M5 0v10", "M0 5h10M5 0v10")
_ROLES: Final[dict[Role, str]] = {"source": "source region", "background": "background region", "region": "region"}
_USUAL: Final = ("EPN", "EMOS1", "EMOS2")
"""Cameras that look the same in every picture."""


@dataclass(frozen=True)
class Layout:
    """How large a drawing is: the side of its picture, the room left of it, the whole width, letters of a line."""

    side: int
    left: int
    width: int
    letters: int

    @property
    def is_beside(self) -> bool:
        """Check whether there is room for the key beside the picture."""
        return self.width > 1.5 * self.side


WIDE: Final = Layout(440, 74, 760, 34)
NARROW: Final = Layout(264, 66, 340, 44)


@dataclass(frozen=True)
class Footprint:
    """What an exposure sees: its camera, its name in full and in short, its cells as runs (first, behind the last)."""

    camera: str
    name: str
    short: str
    runs: npt.NDArray[np.integer]


@dataclass(frozen=True)
class _Drawn:
    """A footprint as closed lines on the sky, and the number of its look."""

    footprint: Footprint
    kind: int
    lines: tuple[Floats, ...]


Regions = Sequence[tuple[Role, RegionSet]]


def draw(
    footprints: Sequence[Footprint], order: int, regions: Regions = (), total: int | None = None, layout: Layout = WIDE
) -> str:
    """Draw the footprints of exposures, and regions.

    Parameters
    ----------
    footprints
        Those to draw; of more than `MOST_DRAWN` the first.
    order
        Order of their cells.
    regions
        Regions on the sky, each with what it is.
    total
        How many footprints there are, if these are only some of them.
    layout
        How large the drawing is.

    Returns
    -------
    str
        The SVG document.
    """
    total = len(footprints) if total is None else total
    shown = [one for one in footprints[:MOST_DRAWN] if len(one.runs)]
    cameras = list(dict.fromkeys([*_USUAL, *sorted({one.camera for one in shown})]))
    drawn = [_Drawn(one, min(cameras.index(one.camera), _KINDS - 1), _lines(one, order)) for one in shown]
    if not drawn and not regions:
        return svg.say("None of these exposures has a footprint.", layout.width)
    frame = _frame(drawn, regions, layout.side)
    near = [one for one in drawn if all(frame.is_near(line) for line in one.lines)]
    near.sort(key=lambda one: one.kind)  # the whole line first, so that those with gaps are seen on it
    words = _words(near, len(drawn) - len(near), total, frame)
    key, height = _key(near, regions, words, layout)
    square = f'width="{layout.side}" height="{layout.side}"'
    parts = [
        f'<clipPath id="sky"><rect {square}/></clipPath>',
        *(_hatch(kind) for kind in sorted({one.kind for one in near})),
        f'<g transform="translate({layout.left} {_TOP})"><g clip-path="url(#sky)">',
        *_net(frame),
        *(_path(frame, one, len(near) <= _HATCHED) for one in near),
        *_regions(frame, regions),
        "</g>",
        f'<rect class="frame" {square}/>',
        *_labels(frame),
        "</g>",
        *key,
    ]
    return svg.document(layout.width, height, "Footprints of exposures", " ".join(words), parts, _STYLE)


def _lines(footprint: Footprint, order: int) -> tuple[Floats, ...]:
    return tuple(borders(*coarser(footprint.runs, order, _MOST_CELLS)))


def _frame(drawn: Sequence[_Drawn], regions: Regions, side: float) -> SkyFrame:
    """Return the frame that holds all footprints, about their middle; without any, the regions."""
    around = [region.centre_and_radius() for _, region in regions]
    places = [np.concatenate(one.lines) for one in drawn]
    circles = [(np.asarray(found[0].cartesian.xyz.value), float(found[1].deg)) for found in around if found]
    middles = [vector for vector, _ in circles] or [corners.mean(axis=0) for corners in places]
    middle = np.mean(middles, axis=0)
    if np.linalg.norm(middle) < 0.5:  # all over the sky: about the first one
        middle = middles[0]
    ra, dec = lon_lat(middle)
    unit = SkyFrame(ra, dec, 1.0, 2.0)
    reach = [float(np.abs(unit.places(corners) - 1.0).max()) for corners in places if unit.is_near(corners)]
    for vector, radius in circles:
        if unit.is_near(vector[None, :]):
            reach.append(float(np.abs(unit.places(vector[None, :]) - 1.0).max()) + radius)
    return SkyFrame(ra, dec, max(max(reach, default=1.0) * _MARGIN, _LEAST_DEG), float(side))


def _hatch(kind: int) -> str:
    return (f'<pattern id="h{kind}" width="10" height="10" patternUnits="userSpaceOnUse">'
            f'<path class="f k{kind} p" d="{_HATCHES[kind]}"/></pattern>')  # fmt: skip


def _path(frame: SkyFrame, drawn: _Drawn, is_filled: bool) -> str:
    data = "".join(_data(frame.places(line)) + "Z" for line in drawn.lines)
    fill = f" h{drawn.kind}" if is_filled else ""
    return f'<path class="f k{drawn.kind}{fill}" d="{data}"><title>{escape(drawn.footprint.name)}</title></path>'


def _data(places: Floats) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places.tolist())


def _regions(frame: SkyFrame, regions: Regions) -> Iterator[str]:
    for mark in marks.project(list(regions), frame.wcs()):
        corners = np.stack((mark.corners[0], frame.side - mark.corners[1]), axis=1)
        cut = " cut" if mark.cuts_out else ""
        yield f'<path class="{mark.role}{cut}" d="{_data(corners)}Z"><title>{_ROLES[mark.role]}</title></path>'


def _net(frame: SkyFrame) -> Iterator[str]:
    for line in [*frame.meridians(), *frame.parallels()]:
        yield f'<path class="net" d="{_data(np.clip(line.places, -9999, 9999))}"/>'


def _labels(frame: SkyFrame) -> Iterator[str]:
    """Write the values of the lines where they cross the lower and the left edge, none over another."""
    last = -60.0
    for x, text in sorted(_crossings(frame.meridians(), 1, float(frame.side))):
        if x - last > 52 and 0 <= x <= frame.side:
            yield f'<text x="{x:.1f}" y="{frame.side + 18:.0f}" text-anchor="middle">{text}</text>'
            last = x
    last = -60.0
    for y, text in sorted(_crossings(frame.parallels(), 0, 0.0)):
        if y - last > 16 and 0 <= y <= frame.side:
            yield f'<text x="-7" y="{y + 4:.1f}" text-anchor="end">{text}</text>'
            last = y
    yield f'<text x="{frame.side / 2:.0f}" y="{frame.side + 42:.0f}" text-anchor="middle">Right ascension (ICRS)</text>'
    turned = f"translate(-56 {frame.side / 2:.0f}) rotate(-90)"
    yield f'<text transform="{turned}" text-anchor="middle">Declination (ICRS)</text>'


def _crossings(lines: Iterator[Line], axis: int, edge: float) -> Iterator[tuple[float, str]]:
    """Yield where lines cross an edge, on which one coordinate of the drawing has a value."""
    for line in lines:
        along, across = line.places[:, 1 - axis], line.places[:, axis] - edge
        for index in np.flatnonzero(np.sign(across[:-1]) != np.sign(across[1:])).tolist():
            share = across[index] / (across[index] - across[index + 1])
            yield float(along[index] + share * (along[index + 1] - along[index])), line.text


def _key(drawn: Sequence[_Drawn], regions: Regions, words: Sequence[str], layout: Layout) -> tuple[list[str], int]:
    """Say what the lines are, beside the picture or below it; return that and the height of the drawing."""
    left, at = (layout.left + layout.side + 24, _TOP + 16) if layout.is_beside else (12, _TOP + layout.side + 72)
    parts = []
    for camera in dict.fromkeys(one.footprint.camera for one in drawn):
        its = [one for one in drawn if one.footprint.camera == camera]
        count = f": {len(its)} exposures" if len(its) > 1 else f" {its[0].footprint.short}"
        parts.append(f'<path class="f k{its[0].kind}" d="M{left} {at - 4}h40"/>')
        parts.append(f'<text x="{left + 50}" y="{at}">{escape((camera or "other") + count)[:40]}</text>')
        at += _ROW + 4
    for role in dict.fromkeys(role for role, _ in regions):
        parts.append(
            f'<path class="{role}" d="M{left} {at - 4}h40"/><text x="{left + 50}" y="{at}">{_ROLES[role]}</text>'
        )
        at += _ROW + 4
    for sentence in words[1:]:
        for line in _broken(sentence, layout.letters):
            parts.append(f'<text x="{left}" y="{at + 8}">{escape(line)}</text>')
            at += _ROW - 2
        at += 6
    return parts, max(_TOP + layout.side + _BOTTOM, at)


def _broken(sentence: str, most: int) -> list[str]:
    """Break a sentence into lines of at most so many characters."""
    lines = [""]
    for word in sentence.split():
        if len(lines[-1]) + len(word) >= most:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _words(drawn: Sequence[_Drawn], far: int, total: int, frame: SkyFrame) -> list[str]:
    """Return what there is to see: a sentence for who does not see it, then those that are written beside it, too."""
    cameras = ", ".join(dict.fromkeys(one.footprint.camera or "other" for one in drawn)) or "none"
    found = [f"{len(drawn)} footprints ({cameras}) about {frame.ra:.4f}, {frame.dec:+.4f} degrees."]
    missing = total - len(drawn) - far
    found.append(f"The picture is {_size(2 * frame.reach_deg)} wide, north up, east to the left.")
    if not total:
        found.append("No exposure sees the region.")
    if total > MOST_DRAWN:
        found.append(f"{len(drawn) + far} of {total:,} exposures are drawn.")
    elif missing:
        found.append(f"{missing} of the exposures {'has' if missing == 1 else 'have'} no footprint.")
    if far:
        found.append(
            f"{far} {'lies' if far == 1 else 'lie'} elsewhere on the sky, or {'is' if far == 1 else 'are'} too large."
        )
    return found


def _size(degrees: float) -> str:
    return f"{degrees:.3g} degrees" if degrees >= 1 else f"{degrees * 60:.3g} arcmin"
