"""Runs of a bench: the scripts of real definitions on simulated photons, the truth, seeds, steps that fail."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from checkout import ROOT
from reduction import scripts
from reduction.bench import ensemble, pipeline
from reduction.bench.recipe import Recipe, read_recipe
from reduction.errors import ReductionError

DEFINITIONS = ROOT / "job_definitions"
RUNS = 100 if os.environ.get("UWS_FULL") else 5
CIRCLE = 'icrs; circle(${source.A.ra}, ${source.A.dec}, 40")'
RING = 'icrs; annulus(${source.A.ra}, ${source.A.dec}, 90", 200")'


def document(**more: Any) -> Any:
    """A recipe of one camera, one source and a spectrum of it."""
    return {
        "name": "short",
        "cameras": ["EPN"],
        "observation": {
            "ra": 148.9745, "dec": 69.651, "exposure_s": 1000, "sources": [
                {"name": "A", "offset_arcmin": [1, 1], "flux": 5e-12, "spectrum": {"powerlaw": {"index": 1.7}}},
            ],
        },
        "steps": [
            {"name": "spectrum", "definition": "spectrum", "parameters": {
                "eventlist": "${eventlist.EPN}", "source_region": CIRCLE, "background_region": RING,
                "energy": "0.15 15", "grouping": "none"}},
        ],
        "measure": {
            "counts": {"step": "spectrum", "result": "source_spectrum", "hdu": "SPECTRUM", "column": "COUNTS",
                       "take": "sum"},
            "behind": {"step": "spectrum", "result": "background_spectrum", "hdu": "SPECTRUM", "column": "COUNTS",
                       "take": "sum"},
            "area": {"step": "spectrum", "result": "source_spectrum", "hdu": "SPECTRUM", "keyword": "BACKSCAL"},
            "area_behind": {"step": "spectrum", "result": "background_spectrum", "hdu": "SPECTRUM",
                            "keyword": "BACKSCAL"},
            "true_counts": {"truth": "source.A.cameras.EPN.circle.usual"},
            "expected": {"truth": "source.A.cameras.EPN.expected.in_circle_usual"},
            "net": {"formula": "counts - behind * area / area_behind"},
            "error": {"formula": "sqrt(counts + behind * (area / area_behind)**2)"},
        },
        "compare": [{"name": "net", "truth": "expected", "value": "net", "error": "error"}],
        **more,
    }  # fmt: skip


def run(recipe: Recipe, number: int, folder: Path, definitions: Path = DEFINITIONS) -> dict[str, Any]:
    folder.mkdir(parents=True)
    return pipeline.run(recipe, pipeline.definitions_of(recipe, definitions), number, folder, lambda _: None)


def test_a_run_measures_what_was_simulated(tmp_path: Path) -> None:
    recipe = read_recipe(document(), {})
    before = Path.cwd(), list(sys.path), list(sys.argv)
    record = run(recipe, 1, tmp_path / "a")
    assert (Path.cwd(), sys.path, sys.argv) == before
    assert record["failed"] is None
    assert record["notes"] == []
    # the simulator counts the events of the circle that the spectrum selects
    assert record["measured"]["counts"] == record["measured"]["true_counts"] > 300
    (product,) = tmp_path.glob("a/01-spectrum/results/source_spectrum.fits")
    assert record["measured"]["area"] == fits.getval(product, "BACKSCAL", "SPECTRUM")
    assert set(record["seconds"]) == {"simulate", "spectrum"}
    again, other = run(recipe, 1, tmp_path / "b"), run(recipe, 2, tmp_path / "c")
    assert again["measured"] == record["measured"]
    assert other["seed"] != record["seed"]
    assert other["measured"]["counts"] != record["measured"]["counts"]


def test_a_step_may_run_steps_of_its_own(tmp_path: Path) -> None:
    values = {"eventlist": "${eventlist.EPN}", "position": "${source.A.ra} ${source.A.dec}", "model": "",
              "radius": 40, "flares": "none", "energy": "0.15 15"}  # fmt: skip
    steps = [{"name": "all", "definition": "source_products", "parameters": values}]
    counts = {"step": "all", "result": "limits", "hdu": "LIMITS", "keyword": "COUNTS"}
    measure = {"counts": counts, "true_counts": {"truth": "source.A.cameras.EPN.circle.usual"}}
    before = Path.cwd(), list(sys.path), list(sys.argv)
    record = run(read_recipe(document(steps=steps, measure=measure, compare=[]), {}), 1, tmp_path / "a")
    assert (Path.cwd(), sys.path, sys.argv) == before
    assert record["failed"] is None, record["failed"]
    assert record["measured"]["counts"] == record["measured"]["true_counts"] > 300


def test_pulls_of_counts_are_those_of_poisson(tmp_path: Path) -> None:
    recipe = read_recipe(document(), {})
    records = [run(recipe, number, tmp_path / str(number)) for number in range(1, RUNS + 1)]
    found = ensemble.figures(ensemble.compare(recipe.comparisons[0], records))
    assert found["mean of pulls"].value == pytest.approx(0.0, abs=4 / np.sqrt(RUNS))
    assert found["width of pulls"].value == pytest.approx(1.0, abs=4 / np.sqrt(2 * RUNS))


def test_a_step_that_fails_ends_the_run_with_its_sentence(tmp_path: Path) -> None:
    steps = document()["steps"]
    steps[0]["parameters"]["source_region"] = 'icrs; circle(10, 10, 40")'
    record = run(read_recipe(document(steps=steps), {}), 1, tmp_path / "a")
    assert record["failed"]["step"] == "spectrum"
    assert "source_region" in record["failed"]["sentence"]
    assert np.isnan(record["measured"]["counts"])
    assert record["notes"] == []
    steps[0]["may_fail"] = True
    record = run(read_recipe(document(steps=steps), {}), 1, tmp_path / "b")
    assert record["failed"] is None
    assert record["notes"][0].startswith("spectrum failed: source_region")
    assert any("counts: ${spectrum.source_spectrum}" in note for note in record["notes"])


SCRIPT = """\
import pathlib, sys
import beside
from reduction import task

def work(job):
    job.stage("Working")
    job.log(f"{beside.WORD} {job.value('number')!r} {job.values('several')!r} {job.value('unset')!r}")
    job.output("out_a.txt", "a").write_text(beside.WORD)
    job.output("out_b.txt", "b").write_text(pathlib.Path.cwd().name)
    if job.value("number") > 5:
        raise SystemExit(int(job.value("number")))
"""


def definition(folder: Path, name: str, word: str, **entry: str) -> None:
    """A definition whose script has a module beside it."""
    place = folder / name
    place.mkdir(parents=True)
    (place / "run.py").write_text(SCRIPT)
    (place / "beside.py").write_text(f"WORD = {word!r}\n")
    content = {
        "name": name, "version": "2", "entry": {"type": "python", "script": "run.py", "function": "work", **entry},
        "control": {"statuses": {"6": "no counts"}},
        "parameters": [
            {"name": "number", "type": "integer", "required": True},
            {"name": "several", "type": "float", "max_values": 3, "default": [1, 2]},
            {"name": "unset", "type": "string"},
        ],
        "results": [{"name": "all", "file": "out_*.txt"}, {"name": "first", "file": "out_a.txt"},
                    {"name": "none", "file": "none.txt", "optional": True}],
    }  # fmt: skip
    (place / "job.json").write_text(json.dumps(content))


def test_scripts_run_as_the_server_runs_them(tmp_path: Path) -> None:
    definition(tmp_path / "d", "one", "first")
    definition(tmp_path / "d", "two", "second")
    for name, word in (("one", "first"), ("two", "second")):
        found = scripts.read_definition(tmp_path / "d", name)
        made = scripts.run(found, {"number": 3}, tmp_path / f"run-{name}")
        assert made["first"].read_text() == word
        assert [path.read_text() for path in made["all"]] == [word, f"run-{name}"]
        assert "none" not in made
        log = (tmp_path / f"run-{name}" / scripts.LOG).read_text()
        assert log.splitlines() == ["[STAGE 1/1] Working", f"{word} 3 [1.0, 2.0] None"]
    assert "beside" not in sys.modules
    allowed = scripts.run(scripts.read_definition(tmp_path / "d", "one"), {"number": 6}, tmp_path / "six")
    assert allowed["first"].is_file()
    with pytest.raises(ReductionError, match="exit status 7"):
        scripts.run(scripts.read_definition(tmp_path / "d", "one"), {"number": 7}, tmp_path / "seven")


@pytest.mark.parametrize(
    "asks", [{"roles": ["xmm"]}, {"control": {"secrets": ["token"]}}, {"control": {"needs": {"X": "no X"}}}]
)
def test_a_definition_that_not_everybody_may_run_is_no_step(tmp_path: Path, asks: dict[str, Any]) -> None:
    definition(tmp_path, "one", "first")
    place = tmp_path / "one" / "job.json"
    place.write_text(json.dumps(json.loads(place.read_text()) | asks))
    with pytest.raises(ReductionError, match="run it as a job by itself"):
        scripts.read_definition(tmp_path, "one")


LISTING = """\
import numpy as np
from astropy.table import Table
from reduction import task

def main(job):
    ra, dec = (float(word) for word in job.value("position").split())
    table = Table({"RA": [ra + 1e-3, ra, 10.0], "DEC": [dec, dec + 2e-4, 10.0], "RATE": [1.0, 2.0, 3.0]})
    table.write(job.output("sources.fits", "sources"))

if __name__ == "__main__":
    task.run(main, stages=1)
"""


def listing(folder: Path) -> Path:
    """A definition that makes a list of sources: one 3.6 / cos(dec) arcsec from a position, one 0.72, one far away."""
    place = folder / "listing"
    place.mkdir(parents=True)
    (place / "run.py").write_text(LISTING)
    (place / "job.json").write_text(json.dumps({
        "name": "listing", "version": "1", "entry": {"type": "python", "script": "run.py"},
        "parameters": [{"name": "position", "type": "position", "required": True}],
        "results": [{"name": "sources", "file": "sources.fits"}],
    }))  # fmt: skip
    return folder


def test_a_step_goes_on_from_what_an_earlier_one_found(tmp_path: Path) -> None:
    """The second list is made about the row of the first that is nearest to the source."""
    found = {"step": "first", "result": "sources", "near": "source.A"}
    steps = [
        {"name": "first", "definition": "listing", "parameters": {"position": "${source.A.ra} ${source.A.dec}"}},
        {"name": "second", "definition": "listing", "parameters": {"position": "${measured.ra} ${measured.dec}"}},
    ]
    measure = {
        "ra": {**found, "column": "RA"}, "dec": {**found, "column": "DEC"}, "true_dec": {"truth": "source.A.dec"},
        "rate": {**found, "column": "RATE"}, "off": {"formula": "3600 * (dec - true_dec)"},
        "again": {"step": "second", "result": "sources", "column": "DEC", "take": "min"},
    }  # fmt: skip
    recipe = read_recipe(document(steps=steps, measure=measure, compare=[]), {})
    record = run(recipe, 1, tmp_path / "run", listing(tmp_path / "d"))
    assert record["failed"] is None, record["failed"]
    assert record["measured"]["rate"] == 2.0
    assert record["measured"]["off"] == pytest.approx(0.72, abs=1e-3)
    assert record["cpu_s"] > 0
    far = document()["observation"]["sources"][0] | {"name": "B", "offset_arcmin": [5, 0]}
    observation = document()["observation"] | {"sources": [*document()["observation"]["sources"], far]}
    measure["ra"]["near"] = "source.B"
    recipe = read_recipe(document(steps=steps, measure=measure, compare=[], observation=observation), {})
    record = run(recipe, 1, tmp_path / "b", tmp_path / "d")
    assert "has no source within 30 arcsec of B" in record["failed"]["sentence"]
    steps[1]["parameters"]["position"] = "${measured.rat} 0"
    record = run(read_recipe(document(steps=steps, measure=measure, compare=[]), {}), 1, tmp_path / "c", tmp_path / "d")
    assert record["failed"]["step"] == "second"
    assert "did you mean rate?" in record["failed"]["sentence"]


def test_sources_of_a_population_are_drawn_anew_for_each_run() -> None:
    population = {"number": 40, "flux": [1e-15, 1e-12], "slope": 1.0, "radius_arcmin": 10,
                  "spectrum": {"powerlaw": {"index": 1.9}}}  # fmt: skip
    observation = document()["observation"] | {"population": population}
    plan = read_recipe(document(observation=observation), {}).plan
    one, same, other = plan.of_seed(1), plan.of_seed(1), plan.of_seed(2)
    assert one.sources == same.sources != other.sources
    assert [source.name for source in one.sources[:3]] == ["A", "P1", "P2"]
    fluxes = [source.flux for source in one.sources[1:]]
    assert fluxes == sorted(fluxes, reverse=True)
    assert 1e-15 <= min(fluxes) <= max(fluxes) <= 1e-12
    places = np.array(one.positions) / 20
    apart = np.hypot(*(places[:, None] - places[None, :]).transpose(2, 0, 1)) + 1e9 * np.eye(len(places))
    assert apart.min() >= 59.9
    many = np.concatenate([[source.flux for source in plan.of_seed(seed).sources[1:]] for seed in range(50)])
    # N(>S) goes as 1 / S between the limits
    wanted = (1 / 1e-14 - 1 / 1e-12) / (1 / 1e-15 - 1 / 1e-12)
    assert np.mean(many > 1e-14) == pytest.approx(wanted, abs=4 * np.sqrt(wanted / len(many)))
    with pytest.raises(ReductionError, match="do not fit within"):
        read_recipe(document(observation=document()["observation"] | {
            "population": population | {"number": 400, "radius_arcmin": 2}}), {}).plan.of_seed(1)  # fmt: skip
