"""The rules of a rerun: what may be changed, which step needs which, what is refused and where."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from growth import Work, require_linear
from provenance import steps
from provenance.steps import InputData, OutputData, Parameter, Step, dependencies, rerun
from provenance.steps.rerun import LockedError
from provenance.text.errors import StepsError

SLIDES = """{"provenance": [{"args": [
  {"index": 0, "inputdata": {"description": "a file", "editable": false, "location": "/tmp", "path": "DummyJob.py"}},
  {"index": 1, "parameter": {"description": "a parameter", "editable": false, "value": "param0"}},
  {"index": 2, "parameter": {"description": "another", "editable": true, "value": "2"}},
  {"index": 3, "outputdata": {"description": "output file", "editable": false, "location": "/tmp", "path": "out.txt"}}
]}]}"""


def step(task: str, inputs: dict[str, Any], values: dict[str, Any], made: dict[str, str], **extra: Any) -> Step:
    """A step: inputs name -> (location, path, hashes), values name -> (value, editable), outputs path -> sha256."""
    args: list[steps.Arg] = []
    for name, (location, path, hashes) in inputs.items():
        args.append(InputData(len(args), name, False, location, path, {"name": name, **hashes}))
    for name, (value, editable) in values.items():
        args.append(Parameter(len(args), name, editable, value, {"name": name}))
    for path, sha256 in made.items():
        known = {"sha256": sha256} if sha256 else {}
        args.append(OutputData(len(args), path, False, extra.get("place", ""), path, known))
    return Step(tuple(args), {"task": task, "version": "1", **{k: v for k, v in extra.items() if k != "place"}})


RAW = ("", "raw.fits", {"sha256": "a0"})
FILTER = step("filter", {"raw": RAW}, {"energy": ("1 2", True), "mode": ("x", False)}, {"events.fits": "b0"}, job="1")
IMAGE = step("image", {"events": ("", "events.fits", {"sha256": "b9", "science_sha256": "b0"})},
             {"bin": (4, True), "energy": ("1 2", True)}, {"image.fits": "c0"}, job="2")  # fmt: skip
OTHER = step("other", {"raw": RAW}, {}, {"other.txt": "d0"}, job="3")
FIT = step("fit", {"image": ("", "image.fits", {"sha256": "c0"}), "other": ("", "other.txt", {"sha256": "d0"})},
           {"text": ("old", True)}, {"fit.fits": "e0"}, job="4")  # fmt: skip
CHAIN = (FILTER, IMAGE, OTHER, FIT)


def test_the_slides_own_example_says_what_may_be_changed() -> None:
    listed = steps.parse(SLIDES)
    fields = rerun.fields(listed, 0)
    assert [(field.name, field.text, field.editable) for field in fields] == [
        ("args[0]", "/tmp" + "/DummyJob.py", False),
        ("args[1]", "param0", False),
        ("args[2]", "2", True),
    ]
    with pytest.raises(StepsError, match=r"provenance\[0\]\.task: is missing"):
        rerun.plan(dependencies.linked(listed), [0])


def test_steps_hang_together_by_hash_of_the_science() -> None:
    linked = dependencies.linked(CHAIN)
    assert rerun.from_step(linked, 0) == (0, 1, 3)
    assert rerun.from_step(linked, 1) == (1, 3)
    assert rerun.from_step(linked, 2) == (2, 3)
    assert rerun.from_step(linked, 0, 1) == (0, 1)
    with pytest.raises(StepsError, match=r"provenance\[1\]: does not depend on provenance\[2\]"):
        rerun.from_step(linked, 2, 1)
    assert rerun.leading_to(linked, 3) == (3,)
    assert rerun.leading_to(linked, 3, [0]) == (0, 1, 3)
    with pytest.raises(StepsError, match=r"provenance\[2\]: the wanted provenance\[1\] does not depend on it"):
        rerun.leading_to(linked, 1, [2])
    with pytest.raises(StepsError, match=r"provenance\[4\]: there is no such step; the list has 4"):
        rerun.from_step(linked, 4)


@pytest.mark.parametrize(
    ("place", "input_place", "linked"),
    [("http://x/1", "http://x/1", True), ("http://x/1", "http://x/2", False), ("http://x/1", "", True), ("", "", True)],
)
def test_without_hashes_place_and_name_tell(place: str, input_place: str, linked: bool) -> None:
    first = step("a", {}, {}, {"f.fits": ""}, place=place)
    second = step("b", {"in": (input_place, "f.fits", {})}, {}, {})
    assert rerun.from_step(dependencies.linked([first, second]), 0) == ((0, 1) if linked else (0,))


@pytest.mark.parametrize(
    ("made", "used", "linked"),
    [
        ("f.fits", "g.fits", False),
        ("results/f.fits", "f.fits", True),
        ("results/f.fits", "other/f.fits", True),
        ("a/f.fits", "a/g.fits", False),
    ],
)
def test_names_are_compared_without_their_folders(made: str, used: str, linked: bool) -> None:
    first, second = step("a", {}, {}, {made: ""}), step("b", {"in": ("", used, {})}, {}, {})
    assert rerun.from_step(dependencies.linked([first, second]), 0) == ((0, 1) if linked else (0,))


@pytest.mark.parametrize("hashes", [{"sha256": ""}, {"sha256": None}, {"sha256": 7}, {"sha256": ["11"]}])
def test_what_is_no_hash_of_an_input_is_as_none(hashes: dict[str, Any]) -> None:
    first, second = step("a", {}, {}, {"f.fits": "11"}), step("b", {"in": ("", "f.fits", hashes)}, {}, {})
    assert rerun.from_step(dependencies.linked([first, second]), 0) == (0, 1)


def test_hashes_are_compared_whatever_their_case() -> None:
    first, second = step("a", {}, {}, {"f.fits": "aB"}), step("b", {"in": ("", "g.fits", {"sha256": "Ab"})}, {}, {})
    assert rerun.from_step(dependencies.linked([first, second]), 0) == (0, 1)


def test_of_two_outputs_with_one_content_the_latest_before_is_meant() -> None:
    listed = [step(f"t{number}", {}, {"n": (number, True)}, {f"{number}.fits": "ab"}) for number in range(3)]
    listed.insert(2, step("use", {"in": ("", "x.fits", {"sha256": "ab"})}, {}, {}))
    assert dependencies.linked(listed).origins == {(2, 0): (dependencies.Origin(1, "1.fits"),)}


def test_a_parameter_with_several_files_is_changed_in_all_of_them() -> None:
    """A file that replaces those of one parameter replaces each; a parameter of that name would be one value."""
    files = tuple(InputData(number, "", True, "", f"{number}.fits", {"name": "lists"}) for number in range(3))
    listed = [Step((*files, Parameter(3, "", True, 1, {"name": "bin"})), {"task": "join"})]
    planned = rerun.plan(dependencies.linked(listed), [0], {"lists": "new.fits", "bin": 2}).steps[0]
    assert [file.given for file in planned.inputs] == ["new.fits"] * 3
    assert planned.values == {"bin": 2}


def test_a_plan_knows_version_and_job_of_each_step() -> None:
    planned = rerun.plan(dependencies.linked(CHAIN), [0, 1]).steps
    assert [(one.task, one.version, one.job) for one in planned] == [("filter", "1", "1"), ("image", "1", "2")]
    bare = rerun.plan(dependencies.linked([Step((), {"task": "bare"})]), [0]).steps[0]
    assert (bare.version, bare.job) == ("", "")


def test_a_hash_that_differs_outweighs_a_name() -> None:
    first = step("a", {}, {}, {"f.fits": "11"})
    second = step("b", {"in": ("", "f.fits", {"sha256": "22"})}, {}, {})
    assert rerun.from_step(dependencies.linked([first, second]), 0) == (0,)


def test_a_plan_says_where_each_input_comes_from() -> None:
    plan = rerun.plan(dependencies.linked(CHAIN), [0, 1, 3], {"0.energy": "3 4", "text": "new", "bin": "4"})
    assert [(one.number, one.task, one.changed) for one in plan.steps] == [
        (0, "filter", ("energy",)), (1, "image", ()), (3, "fit", ("text",)),
    ]  # fmt: skip
    assert plan.steps[0].values == {"energy": "3 4", "mode": "x"}
    assert plan.steps[1].values == {"bin": 4, "energy": "1 2"}
    assert [(file.name, file.made_by, file.output) for file in plan.steps[2].inputs] == [
        ("image", 1, "image.fits"), ("other", None, ""),
    ]  # fmt: skip
    missing = [(one.number, file.path, file.hash) for one, file in plan.missing]
    assert missing == [(0, "raw.fits", "a0"), (3, "other.txt", "d0")]
    with pytest.raises(TypeError):
        plan.steps[0].values["energy"] = "5"  # type: ignore[index]


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"mode": "y"}, LockedError, r"^provenance\[0\]\.args\[2\]: the parameter mode is locked: it stays 'x'"),
        ({"0.raw": "z.fits"}, LockedError, r"the input raw is locked"),
        ({"energy": "5 6"}, StepsError, r"^energy: several steps have it: write 0\.energy or 1\.energy"),
        ({"enrgy": "5 6"}, StepsError, r"^enrgy: no such parameter of step 1 \(filter\).*may be changed: bin, energy$"),
        ({"7.energy": "1"}, StepsError, r"^7\.energy: that step is not run, .*: step 1 \(filter\)"),
        ({"2.raw": "1"}, StepsError, r"^2\.raw: that step is not run"),
        ({"image.fits": "1"}, StepsError, r"no such parameter"),
    ],
)
def test_what_may_not_be_set_is_refused_by_name(changes: Any, error: type[StepsError], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        rerun.plan(dependencies.linked(CHAIN), [0, 1], changes)


def test_a_locked_value_may_be_repeated_as_it_was() -> None:
    assert rerun.plan(dependencies.linked(CHAIN), [0], {"mode": "x", "raw": ""}).steps[0].changed == ()
    boolean = step("a", {}, {"flag": (True, False), "several": ((1, 2.5), False)}, {})
    assert rerun.plan(dependencies.linked([boolean]), [0], {"flag": "true", "several": "1\n2.5"}).steps[0].changed == ()


def test_what_was_hidden_may_be_given_although_it_is_locked() -> None:
    hidden = step("a", {}, {"token": ("(hidden)", False)}, {})
    assert rerun.plan(dependencies.linked([hidden]), [0], {"token": "abc"}).steps[0].values == {"token": "abc"}


def test_a_cycle_and_a_wrong_order_are_told_with_the_place() -> None:
    first = step("a", {"in": ("http://x/2", "b.fits", {})}, {}, {"a.fits": ""}, place="http://x/1")
    second = step("b", {"in": ("http://x/1", "a.fits", {})}, {}, {"b.fits": ""}, place="http://x/2")
    place = r"provenance\[0\]\.args\[0\]\.inputdata: "
    with pytest.raises(StepsError, match=place + r"'b.fits' is made by provenance\[1\].*cycle"):
        dependencies.linked([first, second])


def test_a_file_changed_in_place_is_no_cycle() -> None:
    linked = dependencies.linked([step("a", {"in": ("/tmp", "f.fits", {})}, {}, {"f.fits": ""}, place="/tmp")])
    assert rerun.plan(linked, [0]).missing[0][1].path == "f.fits"


@pytest.mark.parametrize("place", ["", "/data", "http://x/1"])
@pytest.mark.parametrize("sha256", ["", "ab"])
def test_no_step_made_its_own_input(place: str, sha256: str) -> None:
    """A task that writes a file by the name of its input, as by its place or content, did not read what it wrote."""
    hashes = {"sha256": sha256} if sha256 else {}
    makes_it = step("make", {}, {}, {"f.fits": sha256}, place=place)
    rewrites = step("sort", {"in": (place, "f.fits", hashes)}, {}, {"f.fits": sha256}, place=place)
    uses_it = step("use", {"in": (place, "f.fits", hashes)}, {}, {}, place=place)
    alone = dependencies.linked([rewrites])
    assert not alone.origins
    assert [file.path for _, file in rerun.plan(alone, [0]).missing] == ["f.fits"]
    linked = dependencies.linked([makes_it, rewrites, uses_it])
    assert {origin.step for origin in linked.origins[1, 0]} == {0}
    assert max(origin.step for origin in linked.origins[2, 0]) == 1


def test_a_repeated_step_counts_once_and_is_told() -> None:
    linked = dependencies.linked([FILTER, FILTER, IMAGE])
    assert linked.notes == ("provenance[1] is provenance[0] again and counts once",)
    assert rerun.from_step(linked, 0) == (0, 2)


def test_one_name_of_two_steps_is_ambiguous_only_where_one_is_run() -> None:
    listed = [step("a", {"x": RAW}, {}, {"f.fits": ""}), step("b", {"x": RAW}, {}, {"f.fits": ""}),
              step("c", {"in": ("", "f.fits", {})}, {}, {})]  # fmt: skip
    linked = dependencies.linked(listed)
    assert rerun.plan(linked, [2]).missing
    place = r"provenance\[2\]\.args\[0\]\.inputdata\.path: "
    with pytest.raises(StepsError, match=place + r"'f.fits' may come from provenance\[0\] and provenance\[1\]"):
        rerun.plan(linked, [0, 1, 2])


def test_an_input_without_path_and_hash_is_refused() -> None:
    with pytest.raises(StepsError, match=r"provenance\[0\]\.args\[0\]\.inputdata: has neither a path nor a sha256"):
        rerun.plan(dependencies.linked([step("a", {"in": ("", "", {})}, {}, {})]), [0])


@pytest.mark.parametrize(("wanted", "number"), [(None, 3), ("", 3), ("1", 1), ("image.fits", 1), ("events.fits", 0)])
def test_a_target_is_a_step_or_an_output(wanted: str | None, number: int) -> None:
    assert rerun.target(CHAIN, wanted) == number


def test_an_unknown_target_is_told_with_those_there_are() -> None:
    with pytest.raises(StepsError, match=r"target: 's.fits' is neither the number of a step nor an output; .*fit.fits"):
        rerun.target(CHAIN, "s.fits")
    with pytest.raises(StepsError, match="the list is empty"):
        rerun.target((), None)


def test_a_collection_is_linked_by_the_hash_of_its_member() -> None:
    many = Step((OutputData(0, "", False, "", ("a.fits", "b.fits"), {"sha256": ["11", "22"]}),), {"task": "split"})
    listed = [many, step("use", {"in": ("", "renamed.fits", {"sha256": "22"})}, {}, {})]
    plan = rerun.plan(dependencies.linked(listed), [0, 1])
    assert plan.steps[1].inputs[0].output == "b.fits"


def test_a_chain_that_is_too_long_is_refused() -> None:
    listed = [step("a", {"in": ("", f"{n}", {})}, {}, {f"{n + 1}": ""}) for n in range(rerun.MOST_STEPS + 1)]
    linked = dependencies.linked(listed)
    with pytest.raises(StepsError, match="101 steps are to be run; at most 100"):
        rerun.plan(linked, rerun.from_step(linked, 0))
    assert len(rerun.plan(linked, rerun.from_step(linked, 1)).steps) == 100


def linking(count: int) -> Work:
    """Link so many steps of a chain and find all that depend on the first."""
    listed = [step("a", {"in": ("", f"{n}.fits", {"sha256": f"{n:064x}"})}, {}, {f"{n + 1}.fits": f"{n + 1:064x}"})
              for n in range(count)]  # fmt: skip

    def link() -> None:
        assert len(rerun.from_step(dependencies.linked(listed), 0)) == count

    return link


def test_thousands_of_steps_are_linked_at_no_more_each_than_a_few() -> None:
    require_linear(linking, 500)


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=12), st.integers(0, 11))
def test_what_is_run_again_is_closed_under_dependence(pairs: list[tuple[int, int]], first: int) -> None:
    """Whatever the list: each step that needs an output of a chosen one is chosen, and no other than these."""
    listed = [step(f"t{n}", {"in": ("", str(used), {"sha256": f"{used:064x}"})}, {}, {str(made): f"{made:064x}"})
              for n, (used, made) in enumerate(pairs)]  # fmt: skip
    if first >= len(listed):
        return
    chosen = set(rerun.from_step(dependencies.linked(listed), first))
    expected = {first}
    for number, (used, _) in enumerate(pairs):
        makers = [earlier for earlier in range(number) if pairs[earlier][1] == used]
        if makers and makers[-1] in expected:
            expected.add(number)
    assert chosen == expected
    assert json.loads(steps.dump(listed))["provenance"]
