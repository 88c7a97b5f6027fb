"""What runs say together: pulls, completeness, false detections, against numpy and astropy; the report and tables."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from astropy.table import Table
from lxml import etree, html

from checkout import ROOT
from reduction.bench import ensemble, matching, plots, report, tables
from reduction.bench.recipe import Comparison, Detections, read_recipe
from reduction.errors import ReductionError

COMPARISON = Comparison("rate", "t", "v", "low", "high", "count/s")


def record(run: int, **more: Any) -> dict[str, Any]:
    return {"run": run, "seed": 10 + run, "seconds": {"simulate": 1.0, "spectrum.EPN": 0.5}, "failed": None,
            "notes": [], "measured": {}, "cpu_s": 1.2, "software": {"uws-server": "0.1.0"}} | more  # fmt: skip


def measured(count: int, bias: float = 0.0, width: float = 1.0) -> list[dict[str, Any]]:
    """Runs of values about a truth of 5 with an error of 0.1, down, and 0.2, up."""
    draw = np.random.default_rng(5)
    records = []
    for run in range(1, count + 1):
        pull = bias + width * draw.standard_normal()
        value = 5 + pull * (0.1 if pull > 0 else 0.2)
        records.append(record(run, measured={"t": 5.0, "v": value, "low": -0.1, "high": 0.2}))
    return records


def test_pulls_take_the_error_on_the_side_of_the_truth() -> None:
    compared = ensemble.compare(COMPARISON, measured(2000))
    found = ensemble.figures(compared)
    assert found["mean of pulls"].value == pytest.approx(0.0, abs=3.5 / math.sqrt(2000))
    assert found["width of pulls"].value == pytest.approx(1.0, abs=3.5 / math.sqrt(4000))
    assert found["within 1 sigma"].value == pytest.approx(0.6827, abs=3.5 * math.sqrt(0.6827 * 0.3173 / 2000))
    assert not any(figure.is_off for figure in found.values())


@pytest.mark.parametrize(("bias", "width", "off"), [(0.3, 1.0, {"mean of pulls"}), (0.0, 1.5, {"width of pulls"})])
def test_pulls_that_are_off_are_told(bias: float, width: float, off: set[str]) -> None:
    found = ensemble.figures(ensemble.compare(COMPARISON, measured(1000, bias, width)))
    assert off <= {name for name, figure in found.items() if figure.is_off}


def test_runs_that_failed_or_have_no_number_are_left_out() -> None:
    records = measured(5)
    records[0]["failed"] = {"step": "image.EPN", "sentence": "no"}
    records[1]["measured"]["v"] = math.nan
    records[2]["measured"] = {}
    assert list(ensemble.compare(COMPARISON, records).runs) == [4, 5]
    assert ensemble.figures(ensemble.compare(COMPARISON, []))["difference"].value is not None


def test_bounds_of_shares_are_those_of_wilson() -> None:
    """They are the shares p that are one sigma from what was found: (found / n - p)^2 = p (1 - p) / n."""
    found, every = np.array([0, 3, 7, 10]), np.array([10, 10, 10, 10])
    for low, high, k, n in zip(*ensemble.wilson(found, every), found, every, strict=True):
        roots = np.sort(np.roots([1 + 1 / n, -2 * k / n - 1 / n, (k / n) ** 2]).real)
        assert (low, high) == (pytest.approx(roots[0], abs=1e-9), pytest.approx(roots[1], abs=1e-9))


def test_completeness_is_counted_by_flux() -> None:
    sources = [{"flux": flux, "is_detected": flux > 2e-14} for flux in np.geomspace(1e-15, 1e-12, 400)]
    found = ensemble.completeness(sources)
    assert found is not None
    assert found.sources.sum() == 400
    assert found.detected.sum() == sum(each["is_detected"] for each in sources)
    assert found.flux_at(0.5) == pytest.approx(2e-14, rel=0.5)
    assert math.isnan(ensemble.completeness([{"flux": 1e-14, "is_detected": False}]).flux_at(0.5))  # type: ignore[union-attr]


def test_false_detections_fall_with_the_cut() -> None:
    sources = [{"is_detected": True, "likelihood": float(each)} for each in (10, 20, 30, 40)] + [{"is_detected": False}]
    false = [{"likelihood": 8.0}, {"likelihood": 15.0}]
    found = ensemble.false_rate(sources, false, 4)
    assert found is not None
    assert found.per_field[0] == 0.5
    assert found.completeness[0] == 0.8
    assert found.purity[0] == pytest.approx(4 / 6)
    assert found.per_field[-1] == 0.0


def test_each_detection_is_one_source_at_most(tmp_path: Any) -> None:
    path = tmp_path / "sources.fits"
    step = 1 / 3600
    # S1 has two detections near it, S2 the farther of them, S3 none; one is far from all
    Table({"RA": [10.0, 10.0, 10.5], "DEC": [0.0, 6 * step, 0.0], "L": [50.0, 20.0, 9.0]}).write(path)
    sources = [{"name": name, "ra": 10.0, "dec": dec, "mean_flux": 1e-14}
               for name, dec in (("S1", 1 * step), ("S2", 9 * step), ("S3", 0.2))]  # fmt: skip
    wanted = Detections("detect", "sources", likelihood="L", match_arcsec=10)
    found = matching.match(wanted, {"detect": {"sources": path}}, sources)
    assert [row["is_detected"] for row in found["sources"]] == [True, True, False]
    assert [row.get("likelihood") for row in found["sources"]] == [50.0, 20.0, None]
    assert found["sources"][1]["apart_arcsec"] == pytest.approx(3.0, abs=1e-3)
    assert [row["likelihood"] for row in found["false"]] == [9.0]
    with pytest.raises(ReductionError, match="no column LIKE; it has RA, DEC, L"):
        matching.match(Detections("detect", "sources", likelihood="LIKE"), {"detect": {"sources": path}}, sources)


def ensemble_of_all() -> tuple[Any, list[dict[str, Any]]]:
    """A recipe and records with everything that a report may hold, and texts that are markup."""
    document = json.loads((ROOT / "job_definitions" / "bench" / "example.json").read_text()) | {
        "name": "<script>alert(1)</script>"
    }
    document["detections"] = {"step": "image.EPN", "result": "images", "likelihood": "L"}
    recipe = read_recipe(document, {})
    records = []
    for run in range(1, 13):
        seen = {"apart_arcsec": 1.0, "likelihood": 5.0 * run} if run % 3 else {}
        flux = 10.0 ** -(12 + run / 6)
        sources = [{"name": "A", "ra": 1.0, "dec": 2.0, "flux": flux, "is_detected": bool(seen), **seen}]
        values = {"true_rate": 0.5, "rate": 0.5 + 0.01 * (-1) ** run, "rate_error": 0.02}
        records.append(record(run, measured=values, detections={"sources": sources, "false": [{"likelihood": 4.0}]}))
    records[4] |= {"failed": {"step": "image.EPN", "sentence": "a <b> & c"}, "notes": []}
    records[5]["notes"] = ["<i>odd</i>"]
    return recipe, records


def test_the_report_is_one_page_with_all_of_it() -> None:
    recipe, records = ensemble_of_all()
    text = report.page(recipe, records, ["run 13: killed"])
    page = html.document_fromstring(text)
    assert not page.xpath("//script | //link | //img | //b | //i[text()='odd']")
    assert "http" not in text.replace("http://www.w3.org", "")
    words = " ".join(page.text_content().split())
    for part in ("<script>alert(1)</script>", "13 runs", "2 failed", "a <b> & c", "run 13: killed", "<i>odd</i>",
                 "Net rate of A in 40 arcsec, pn", "12 fields, 12 sources", "Completeness"):  # fmt: skip
        assert part in words, part
    assert len(page.xpath("//svg")) >= 6
    assert "prefers-color-scheme:dark" in text


def test_plots_are_well_formed_and_say_what_they_are() -> None:
    plot = plots.Plot("a < b", plots.Axis.around("x", np.array([1e-15, 1e-12]), is_log=True), plots.Axis("y", 0, 1))
    plot.points(np.array([1e-14, np.nan, -1.0]), np.array([0.5, 0.5, 0.5]))
    plot.errors(np.array([1e-14]), np.array([-3.0]), np.array([9.0]))
    plot.bars(np.array([1e-15, 1e-14, 1e-13]), np.array([0.2, 5.0]))
    plot.line(np.array([1e-15, 1e-12]), np.array([0.0, 1.0]))
    root = etree.fromstring(plot.svg())
    assert root.get("aria-label") == "a < b"
    assert len(root.findall(".//circle")) == 1
    for rect in root.iter("rect"):
        assert float(rect.get("height")) >= 0
        assert 0 <= float(rect.get("y")) <= plots.HEIGHT


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [(0.2001, 0.0123, "0.200 ± 0.012"), (1234.5, 23.0, "1234 ± 23"), (-2.054e-6, 2.03e-6, "(-2.1 ± 2.0)e-6"),
     (3.0012e-4, 1.5e-6, "(3.001 ± 0.015)e-4"), (5.0, math.nan, "5"), (3e-4, 0.0, "3e-4")],
)  # fmt: skip
def test_numbers_are_written_with_the_digits_that_their_errors_have(value: float, error: float, text: str) -> None:
    assert plots.with_error(value, error) == text


def test_the_tables_are_read_by_astropy() -> None:
    recipe, records = ensemble_of_all()
    runs = Table.read(tables.runs(recipe, records).decode(), format="ascii.ecsv")
    assert list(runs["run"]) == list(range(1, 13))
    assert runs["rate"][0] == pytest.approx(0.49)
    assert str(runs["sentence"][4]) == "a <b> & c"
    (row,) = Table.read(tables.comparisons(recipe, records).decode(), format="ascii.ecsv")
    assert row["runs"] == 11
    assert row["pull_width"] == pytest.approx(np.std([0.5 * (-1) ** run for run in range(1, 13) if run != 5], ddof=1))
    content = tables.sources(recipe, records)
    assert content is not None
    sources = Table.read(content.decode(), format="ascii.ecsv")
    assert sources.meta["recipe"] == "<script>alert(1)</script>"
    assert np.count_nonzero(sources["is_source"]) == 12
    assert np.count_nonzero(~sources["is_source"]) == 12
    assert tables.sources(recipe, [record(1)]) is None
