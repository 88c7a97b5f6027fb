"""What a server remembers of the region texts of its definitions, and when it asks again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reduction import regions
from reduction.errors import ReductionError
from uws_server.resources import definitions_folder
from uws_server.services.region_texts import RegionTexts, is_plain, problem_of, source_files, told_elsewhere

GOOD, BAD = "icrs; circle(148.97, 69.65, 40')", "icrs; circle(148.97)"


def said_by_regions(text: str) -> str:
    with pytest.raises(ReductionError) as wrong:
        regions.parse(text, "where")
    return str(wrong.value).removeprefix("where: ")


def numbers(most: int) -> st.SearchStrategy[str]:
    """Numbers as they are written, some beyond what is allowed."""
    return st.decimals(0, most, places=2).map(str) | st.integers(0, most).map(str)


TEXTS = st.builds(
    "{}; {}({}, {}{}, {})".format,
    st.sampled_from(["icrs", "fk5", "FK4"]),
    st.sampled_from(["circle", "annulus"]),
    numbers(365),
    st.sampled_from(["", "-", "+"]),
    numbers(95),
    st.lists(numbers(999).map('{}"'.format), min_size=1, max_size=3).map(", ".join),
)


@settings(max_examples=500)
@given(TEXTS)
def test_a_text_that_is_taken_for_a_region_is_one(text: str) -> None:
    if is_plain(text):
        regions.parse(text, "where")


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ('icrs; circle(148.97, 69.65, 40")', True), ('fk5; annulus(360, -90, 0.5", 120")', True),
        ('icrs; circle(360.1, 0, 1")', False), ('icrs; circle(1, -90.1, 1")', False), ('icrs; circle(1, 1, 0")', False),
        ('icrs; annulus(1, 1, 2", 2")', False), ('icrs; annulus(1, 1, 2")', False),
        ('icrs; circle(1, 1, 1", 2")', False), ('icrs; circle(1, 1, 1)', False), ('icrs; circle(1, 1, 1")\n', False),
        ('icrs; circle(\u0661, 1, 1")', False), ("", False),
    ],
)  # fmt: skip
def test_only_a_text_that_is_plainly_a_region_is_taken_for_one(text: str, plain: bool) -> None:
    assert is_plain(text) is plain


def test_the_regions_of_the_shipped_definitions_are_plain() -> None:
    """Else the first start of each server would load astropy, if only in a process of its own."""
    for path in definitions_folder().glob("*/job.json"):
        definition = json.loads(path.read_text(encoding="utf-8"))
        for spec in definition["parameters"]:
            if spec["type"] == "region":
                for text in (spec.get("default"), definition.get("test", {}).get(spec["name"])):
                    assert not text or is_plain(text), (path, text)


def kept(data: Path) -> dict[str, str]:
    problems: dict[str, str] = json.loads((data / "regions.json").read_bytes())["problems"]
    return problems


def test_it_says_what_the_regions_say(tmp_path: Path) -> None:
    asked = RegionTexts(tmp_path)
    assert (asked.problem("where", GOOD), asked.problem("where", BAD)) == ("", said_by_regions(BAD))
    asked.learn([("where", GOOD), ("where", BAD), ("where", "\ud800 is half a character")])
    assert (asked.problem("where", GOOD), asked.problem("where", BAD)) == ("", said_by_regions(BAD))
    assert sorted(kept(tmp_path).values()) == sorted(
        ["", said_by_regions(BAD), asked.problem("where", "\ud800 is half a character")]
    )
    assert RegionTexts(tmp_path).problem("where", BAD) == said_by_regions(BAD)


def test_what_is_kept_is_used_and_what_other_code_said_is_not(tmp_path: Path) -> None:
    RegionTexts(tmp_path).learn([("where", GOOD)])
    path = tmp_path / "regions.json"
    content = json.loads(path.read_bytes())
    content["problems"] = dict.fromkeys(content["problems"], "as it was kept")
    path.write_text(json.dumps(content), encoding="utf-8")
    assert RegionTexts(tmp_path).problem("where", GOOD) == "as it was kept"
    assert RegionTexts(tmp_path).problem("there", GOOD) == "", "another name has another sentence"
    path.write_text(json.dumps({**content, "code": "of another version"}), encoding="utf-8")
    assert RegionTexts(tmp_path).problem("where", GOOD) == ""


@pytest.mark.parametrize("content", ["", "[]", "{", '{"code": 1}', '{"problems": 3}', '{"problems": {"x": 1}}'])
def test_a_file_that_is_no_longer_one_of_ours_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "regions.json").write_text(content, encoding="utf-8")
    asked = RegionTexts(tmp_path)
    asked.learn([("where", BAD)])
    assert asked.problem("where", BAD) == said_by_regions(BAD)
    assert list(kept(tmp_path).values()) == [said_by_regions(BAD)]


def test_a_process_of_its_own_says_the_same() -> None:
    texts = [("where", GOOD), ("where", BAD), ("where", "\ud800 is half a character")]
    assert told_elsewhere(texts) == [problem_of(*pair) for pair in texts]


@pytest.mark.parametrize("executable", ["/bin/false", "/nowhere/python"])
def test_where_no_process_can_be_started_this_one_tells(executable: str, tmp_path: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom uws_server.services.region_texts import RegionTexts\n"
        "sys.executable, asked = sys.argv[1], RegionTexts(Path(sys.argv[2]))\n"
        "asked.learn([('where', sys.argv[3])])\nprint('reduction.regions' in sys.modules)\n"
        "print(asked.problem('where', sys.argv[3]))"
    )
    command = [sys.executable, "-c", program, executable, str(tmp_path), BAD]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"False\n{said_by_regions(BAD)}\n"
    assert "checked here: the process for it failed" in done.stderr


def test_a_data_folder_that_cannot_be_written_is_no_reason_not_to_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "regions.json").mkdir()
    asked = RegionTexts(tmp_path)
    asked.learn([("where", BAD)])
    assert asked.problem("where", BAD) == said_by_regions(BAD)
    assert "could not be written" in caplog.text


def test_all_code_of_ours_that_decides_is_in_the_fingerprint() -> None:
    """What parsing loads of our packages is what an answer depends on."""
    program = (
        "import sys\nfrom reduction import regions\nregions.parse('icrs; circle(1, 2, 3)', 'x')\n"
        "print(*(module.__file__ for name, module in sys.modules.items()"
        " if name.partition('.')[0] in ('provenance', 'reduction')), sep='\\n')"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    decides = {str(path) for path in source_files()}
    rest = {path for path in loaded if path not in decides}
    assert {Path(path).name for path in rest} == {"__init__.py", "former_names.py"}
