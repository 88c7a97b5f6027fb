"""How the products of an array were made: a step for each part, one for the last script, and a rerun from a product."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from labs import Lab
from provenance import steps, votags
from provenance.steps import InputData, OutputData, Step
from reduction.simulate import simulate, small
from serving import running_server
from uws_server.client import JobState, follow
from uwsjobs import define

LISTS = {"name": "eventlist", "type": "eventlist", "max_values": 100, "required": True, "spread": True}
SEEN = {"name": "observation", "type": "observation", "max_values": 10, "required": True, "spread": True}
BAND = {"name": "band", "type": "energy_range", "default": "0.5 2", "unit": "keV", "editable": True}
COUNTS = {"name": "counts", "file": "counts.fits", "mime": "application/fits"}
WHOLE = {"name": "whole", "file": "whole.fits", "mime": "application/fits", "gathered": True}

BY_TASK = """
from astropy.io import fits
from reduction import task


def main(job):
    path = job.path("{name}")
    job.stage("Counting")
    with fits.open(path) as events:
        number = len(events["EVENTS"].data)
    hdu = fits.BinTableHDU.from_columns([fits.Column("N", "J", array=[number])])
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(job.output("counts.fits", "Number of events"))


task.run(main, stages=1)
"""
BY_SHELL = 'cp "$eventlist" counts.fits'
MERGE = """
from astropy.io import fits
from reduction import task


def main(job):
    counts = [int(fits.getdata(path, 1)["N"][0]) for path in job.paths("parts")]
    hdu = fits.BinTableHDU.from_columns([fits.Column("N", "J", array=[sum(counts)])])
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(job.output("whole.fits", "All events"))


task.run(main, stages=0)
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("provenance")
    simulate(small(), folder / "archive" / "0999990101")
    definitions = folder / "definitions"
    for name, parameter in (("counted", LISTS), ("seen", SEEN)):
        script = BY_TASK.replace("{name}", parameter["name"])
        place = define(
            definitions, name, script, "python", parameters=[parameter, BAND], results=[COUNTS, WHOLE],
            gather="merge.py",
        )  # fmt: skip
        (place / "merge.py").write_text(MERGE, encoding="utf-8")
    define(definitions, "copied", BY_SHELL, parameters=[LISTS, BAND], results=[COUNTS])
    with running_server(folder / "data", definitions=definitions, archive=folder / "archive") as served:
        yield Lab(served, folder)


def folder_of(lab: Lab, job: JobState) -> Path:
    (folder,) = (lab.folder / "data" / "jobs").glob(f"*/{job.url.rpartition('/')[2]}")
    return folder


def inputs(step: Step) -> list[str]:
    return [f"{arg.location}/{arg.path}" for arg in step.args if isinstance(arg, InputData)]


def outputs(step: Step) -> list[str]:
    return [f"{arg.location}/{arg.path}" for arg in step.args if isinstance(arg, OutputData)]


def fetched(job: JobState, folder: Path) -> dict[str, Path]:
    """Every FITS result of a job that was completed, under its name."""
    assert job.phase == "COMPLETED", job.error
    found = {}
    for result in job.results:
        if result.name != "log":
            found[result.name] = folder / f"{result.name}.fits"
            found[result.name].write_bytes(requests.get(result.url, timeout=300).content)
    return found


def lists_of(lab: Lab) -> list[str]:
    names = sorted(path.name for path in (lab.archive / "0999990101").iterdir() if "EVLI" in path.name)
    return [f"0999990101/{name}" for name in names]


def test_each_part_is_a_step_and_the_last_script_one_that_used_their_products(lab: Lab, tmp_path: Path) -> None:
    given = lists_of(lab)
    job = lab.run("counted", {"eventlist": given})
    products = fetched(job, tmp_path)
    numbers = [result.name for result in job.results]
    assert numbers == ["whole", *(f"counts_part{n}" for n in range(1, len(given) + 1)), "log"]
    *parts, last = steps.read(folder_of(lab, job) / "steps.json")
    assert [inputs(step) for step in parts] == [[name] for name in given]
    made = [f"{job.url}/parts/{n}/results/counts.fits" for n in range(1, len(given) + 1)]
    assert [outputs(step) for step in parts] == [[url] for url in made]
    assert inputs(last) == made
    assert outputs(last) == [f"{job.url}/results/whole.fits"]
    assert all(requests.get(url, timeout=300).content == products[f"counts_part{n}"].read_bytes()
               for n, url in enumerate(made, start=1))  # fmt: skip
    tags = votags.read(products["whole"])
    assert tags is not None
    assert list(tags.steps) == [*parts, last]
    named = requests.get(f"{lab.url}/provsap", params={"ID": made[1], "RESPONSEFORMAT": "PROV-JSON"}, timeout=300)
    assert (named.status_code, job.url.rpartition("/")[2] in named.text) == (200, True)
    of_second = votags.read(products["counts_part2"])
    assert of_second is not None
    assert list(of_second.steps) == [parts[1]]


@pytest.mark.parametrize("name", ["counted", "copied"])
def test_the_product_of_a_part_is_run_again_from_itself(lab: Lab, tmp_path: Path, name: str) -> None:
    given = lists_of(lab)
    job = lab.run(name, {"eventlist": given})
    product = fetched(job, tmp_path)["counts_part2"]
    with product.open("rb") as stream:
        answer = requests.post(
            f"{lab.url}/reprocessing", files={"file": stream}, data={"band": "0.5 7"},
            allow_redirects=False, timeout=300,
        )  # fmt: skip
    assert answer.status_code == 303, answer.text
    again = f"{lab.url}/rest/{name}/{answer.headers['Location'].rpartition('/')[2]}"
    assert follow(again, lambda state: None).phase == "COMPLETED"
    assert requests.get(f"{again}/parameters/eventlist", timeout=300).text == given[1]
    assert requests.get(f"{again}/parameters/band", timeout=300).text == "0.5 7"


@pytest.mark.parametrize("name", ["counted", "copied"])
def test_a_job_with_parts_is_run_again_as_one_job_with_all_of_them(lab: Lab, name: str) -> None:
    given = lists_of(lab)
    job = lab.run(name, {"eventlist": given, "band": "0.2 12"})
    number = job.url.rpartition("/")[2]
    assert f"/rerun?job={number}" in requests.get(f"{lab.url}/jobs/{number}", timeout=300).text
    page = requests.get(f"{lab.url}/rerun", params={"job": number}, timeout=300).text
    assert page.count('<fieldset class="step"') == 1
    assert page.count("the same by SHA-256") == len(given)
    state = lab.again(job.url, band="0.5 7")
    assert state.phase == "COMPLETED", state.error
    document: Any = requests.get(f"{state.url}/parts", timeout=300).json()
    assert [part["input"] for part in document["parts"]] == given
    assert requests.get(f"{state.url}/parameters/band", timeout=300).text == "0.5 7"
    compared = requests.get(f"{lab.url}/jobs/{state.url.rpartition('/')[2]}/compare/{number}", timeout=300)
    assert compared.status_code == 200


def test_a_part_that_failed_is_run_again_with_the_others(lab: Lab, tmp_path: Path) -> None:
    broken = tmp_path / "broken.fits"
    broken.write_bytes((lab.archive / lists_of(lab)[0]).read_bytes()[:3000])
    job = lab.run("counted", {"eventlist": [lists_of(lab)[1], "param:up"]}, {"up": broken})
    before: Any = requests.get(f"{job.url}/parts", timeout=300).json()
    assert (before["total"], before["failed"]) == (2, 1)
    again: Any = requests.get(f"{lab.again(job.url).url}/parts", timeout=300).json()
    assert [(part["input"], part["phase"]) for part in again["parts"]] == [
        (part["input"], part["phase"]) for part in before["parts"]
    ]


def test_an_observation_has_a_part_for_each_of_its_event_lists(lab: Lab) -> None:
    job = lab.run("seen", {"observation": "0999990101"})
    assert job.phase == "COMPLETED", job.error
    document: Any = requests.get(f"{job.url}/parts", timeout=300).json()
    assert [part["input"] for part in document["parts"]] == lists_of(lab)


def test_what_a_job_used_is_known_by_its_hash(lab: Lab, tmp_path: Path) -> None:
    first = lab.run("copied", {"eventlist": lists_of(lab)[:2]})
    product = next(result for result in first.results if result.name == "counts_part1")
    copy = fetched(first, tmp_path)[product.name]
    second = lab.run("copied", {"eventlist": [lists_of(lab)[0], "param:up"]}, {"up": copy})
    assert second.phase == "COMPLETED", second.error
    graph = requests.get(f"{second.url.replace('/rest/copied/', '/jobs/')}/provenance", timeout=300).text
    assert first.url.rpartition("/")[2] in graph
