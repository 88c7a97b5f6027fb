"""The recipe of a bench: what is wrong is said with its place; its references and formulas."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest
from astropy.coordinates import SkyCoord

from checkout import ROOT
from reduction.bench import formula, pipeline, references
from reduction.bench.recipe import files_of, parse, read_recipe
from reduction.errors import ReductionError

EXAMPLE = ROOT / "job_definitions" / "bench" / "example.json"
DEFINITIONS = ROOT / "job_definitions"


def example() -> Any:
    return json.loads(EXAMPLE.read_text())


def test_the_example_is_well() -> None:
    recipe = read_recipe(parse(EXAMPLE.read_text()), {})
    assert [step.key for step in recipe.steps][:3] == ["flares.EPN", "flares.EMOS1", "flares.EMOS2"]
    assert recipe.steps[0].parameters["eventlist"] == "${eventlist.EPN}"
    assert set(pipeline.definitions_of(recipe, DEFINITIONS)) == {
        "flare_filter", "image", "spectrum", "response", "lightcurve"
    }  # fmt: skip


@pytest.mark.parametrize("path", sorted(EXAMPLE.parent.glob("*.json")), ids=lambda path: path.stem)
def test_the_recipes_that_come_with_it_are_well(path: Path) -> None:
    """Steps of definitions that this server does not have are told, and nothing else."""
    if path.stem == "job":
        pytest.skip("the definition itself")
    recipe = read_recipe(parse(path.read_text()), {})
    lacking = {step.definition for step in recipe.steps if not (DEFINITIONS / step.definition / "job.json").is_file()}
    if lacking:
        with pytest.raises(ReductionError, match="there is no definition"):
            pipeline.definitions_of(recipe, DEFINITIONS)
        pytest.skip(f"there is no definition {', '.join(sorted(lacking))}")
    pipeline.definitions_of(recipe, DEFINITIONS)


def changed(path: str, value: Any) -> Any:
    """The example with a value at a dotted path; with None, without it."""
    document: Any = copy.deepcopy(example())
    at: Any = document
    *way, last = path.split(".")
    for word in way:
        at = at[int(word)] if word.isdigit() else at[word]
    if value is None:
        del at[last]
    else:
        at[int(last) if last.isdigit() else last] = value
    return document


WRONG: list[tuple[str, Any, str, str]] = [
    ("observation", None, "observation", "wanted, and absent"),
    ("observation.exposure", 5.0, "observation.exposure", "did you mean exposure_s?"),
    ("observation.exposure_s", "long", "observation.exposure_s", "'long' came; a number is wanted"),
    ("observation.exposure_s", 5, "observation.exposure_s", "lasts 100 to 200,000 s"),
    ("observation.sources.0.flux", -1, "observation.sources[0].sources", "greater than 0"),
    ("observation.sources.1.name", "A", "observation.sources", "the same name"),
    ("observation.sources.0.name", "A B", "observation.sources[0].name", "letters, digits"),
    ("observation.sources.0.spectrum", {}, "observation.sources[0].spectrum", "just one of powerlaw, blackbody"),
    ("observation.sources.0.spectrum", {"powerlaw": {"indx": 2}}, "observation.sources[0].spectrum.powerlaw.index",
     "absent"),
    ("observation.sources.0.ra", 3, "observation.sources[0].offset_arcmin", "not both"),
    ("observation.sources.0.extent", {"image": "a.fits"}, "observation.sources[0].extent.image", "no file 'a.fits'"),
    ("observation.sources.0.variability", {"periodic": {"period_s": 1, "fraction": 2}},
     "observation.sources[0].variability.periodic.variability", "fraction from 0 to 1"),
    ("observation.population", {"number": 0}, "observation.population.number", "from 1 on"),
    ("cameras", ["RGS1"], "cameras", "some of EPN, EMOS1, EMOS2"),
    ("steps", [], "steps", "one step at least"),
    ("steps.1.name", "flares", "steps[1].name", "none of another step"),
    ("steps.1.name", "source", "steps[1].name", "none of run, seed"),
    ("steps.0.parameters.eventlist", "${eventlists.EPN}", "steps[0].parameters.eventlist", "did you mean eventlist?"),
    ("steps.0.parameters.eventlist", "${spectrum.EPN.events}", "steps[0].parameters.eventlist", "no 'spectrum'"),
    ("measure.counts.step", "spectrum", "measure.counts.step", "there are flares.EPN"),
    ("measure.counts.take", "median", "measure.counts.take", "first, sum, mean"),
    ("measure.rate", {"formula": "counts / exposur"}, "measure.rate.formula", "no quantity 'exposur' above it"),
    ("measure.rate", {"formula": "open('x')"}, "measure.rate", "is no formula"),
    ("compare.0.truth", "tru_rate", "compare[0].truth", "no quantity 'tru_rate'"),
    ("compare.0.error", ["rate"], "compare[0].error", "a list of two"),
    ("detections", {"step": "image.EPN", "result": "x", "match_arcsec": 0}, "detections.match_arcsec", "above 0"),
    ("seed", 1.5, "seed", "a whole number"),
    ("sead", 1, "sead", "did you mean seed?"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "place", "words"), WRONG)
def test_what_is_wrong_is_said_with_its_place(path: str, value: Any, place: str, words: str) -> None:
    with pytest.raises(ReductionError) as caught:
        read_recipe(changed(path, value), {})
    assert caught.value.parameter == place
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value", "place", "words"),
    [
        ("steps.0.definition", "flarefilter", "steps[0].definition (flares.EPN)", "there are barycentre"),
        ("steps.0.definition", "sas_spectrum", "steps[0].definition (flares.EPN)", "shell script"),
        ("steps.0.definition", "../x", "steps[0].definition (flares.EPN)", "no definition"),
        ("steps.0.parameters.methd", "x", "step flares.EPN, parameter methd", "no such parameter; it has eventlist"),
        ("steps.0.parameters.method", "wild", "step flares.EPN, parameter method", "fixed, sigma, signal"),
        ("steps.1.parameters.eventlist", None, "step image.EPN, parameter eventlist", "image wants it"),
        ("steps.4.parameters.bin_size", "long", "step lightcurve, parameter bin_size", "a number is wanted"),
        ("steps.4.parameters.eventlist", "pn.fits", "step lightcurve, parameter eventlist", "a reference to a file"),
    ],
)
def test_steps_are_held_against_their_definitions(path: str, value: Any, place: str, words: str) -> None:
    recipe = read_recipe(changed(path, value), {})
    with pytest.raises(ReductionError) as caught:
        pipeline.definitions_of(recipe, DEFINITIONS)
    assert caught.value.parameter == place
    assert words in str(caught.value)


def test_what_is_no_json_is_said_with_line_and_column() -> None:
    with pytest.raises(ReductionError, match="line 2, column 3"):
        parse('{"name": "x",\n  ,}')
    with pytest.raises(ReductionError, match="an object"):
        read_recipe(parse("[1]"), {})


def test_files_that_a_recipe_needs() -> None:
    document = changed("observation.attitude", "attitude.fits")
    document["observation"]["sources"][0]["extent"] = {"image": "sky.fits"}
    assert files_of(document) == ["attitude.fits", "sky.fits"]
    assert files_of(["x"]) == []


def test_a_source_is_where_its_offset_says() -> None:
    source = read_recipe(example(), {}).plan.observation.sources[1]
    east, north = SkyCoord(148.9745, 69.6510, unit="deg").spherical_offsets_to(
        SkyCoord(source.ra, source.dec, unit="deg")
    )
    assert (east.arcmin, north.arcmin) == (pytest.approx(3, abs=1e-3), pytest.approx(4, abs=1e-3))


def test_references() -> None:
    known = {"source": {"A": {"ra": 1.5, "list": [1, 2]}}, "eventlist": {"EPN": Path("pn.fits")}}
    assert references.resolve("icrs; circle(${source.A.ra}, 2)", known) == "icrs; circle(1.5, 2)"
    assert references.resolve("${eventlist.EPN}", known) == Path("pn.fits")
    assert references.resolve(["${source.A.list.1}", 3], known) == [2, 3]
    assert references.of_camera("${eventlist.CAMERA} CAMERA", "EPN") == "${eventlist.EPN} CAMERA"
    for text, words in (("${source.B.ra}", "there are A"), ("${source.A.raa}", "did you mean ra?"),
                        ("${source.A.list.2}", "2 items"), ("x${eventlist.EPN}", "part of a text")):  # fmt: skip
        with pytest.raises(ReductionError, match=r"there is no|cannot be") as caught:
            references.resolve(text, known)
        assert words in str(caught.value)


def test_formulas() -> None:
    assert formula.evaluate("(a - 2*b) / sqrt(c) + -1**2", {"a": 10, "b": 2, "c": 9}) == 1.0
    assert math.isnan(formula.evaluate("1 / a", {"a": 0}))
    assert math.isnan(formula.evaluate("sqrt(a)", {"a": -1}))
    assert math.isnan(formula.evaluate("10**10**10", {}))
    for text in ("", "a b", "a.b", "__import__('os')", "(lambda: 1)()", "[1][0]", "a if b else c", "'x'", "True",
                 "1" * 600, "(" * 200):  # fmt: skip
        with pytest.raises(ReductionError, match="formula"):
            formula.evaluate(text, {"a": 1, "b": 1, "c": 1})
