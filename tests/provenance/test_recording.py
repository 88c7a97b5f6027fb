"""Steps as they are recorded: each expectation is the JSON that a reader of the step list sees, written out by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits

from provenance import steps
from provenance.fits.digests import Digests
from provenance.steps import recording
from provenance.steps.recording import ParameterValue, Product, RunInfo, UsedFile, make_step, redacted

RUN = RunInfo("filter", "1.2")


def recorded(
    used: tuple[UsedFile, ...] = (),
    values: tuple[ParameterValue, ...] = (),
    products: tuple[Product, ...] = (),
    **more: Any,
) -> list[dict[str, Any]]:
    """The arguments of a step as its document has them."""
    step = make_step(used, values, products, "http://x/store/1", RUN, **more)
    arguments = json.loads(steps.dump([step]))["provenance"][0]["args"]
    assert [argument.pop("index") for argument in arguments] == list(range(len(arguments)))
    return list(arguments)


def test_files_parameters_and_products_come_in_this_order() -> None:
    found = recorded(
        (UsedFile("eventlist", "the events", False, "http://archive/odf/pn.fits", "aa", "bb"),),
        (ParameterValue("energy", "the band", True, "0.2 12", "keV"), ParameterValue("bin", "", True, 4)),
        (Product("events.fits", "filtered", Digests("cc", "dd", True)),
         Product("log.txt", "", Digests("ee", "ee", False))),
    )  # fmt: skip
    assert found == [
        {"inputdata": {"description": "the events", "editable": False, "location": "http://archive/odf",
                       "path": "pn.fits", "name": "eventlist", "sha256": "aa", "science_sha256": "bb"}},
        {"parameter": {"description": "the band", "editable": True, "value": "0.2 12", "name": "energy",
                       "unit": "keV"}},
        {"parameter": {"description": "", "editable": True, "value": 4, "name": "bin"}},
        {"outputdata": {"description": "filtered", "editable": False, "location": "http://x/store/1",
                        "path": "events.fits", "sha256": "dd", "sha256_of": "science HDUs"}},
        {"outputdata": {"description": "", "editable": False, "location": "http://x/store/1", "path": "log.txt",
                        "sha256": "ee", "sha256_of": "file"}},
    ]  # fmt: skip


@pytest.mark.parametrize(("science", "kept"), [("", False), ("aa", False), ("bb", True)])
def test_a_hash_of_the_science_stands_where_it_is_another(science: str, kept: bool) -> None:
    (found,) = recorded((UsedFile("f", "", False, "pn.fits", "aa", science),))
    assert ("science_sha256" in found["inputdata"]) == kept
    assert (found["inputdata"]["location"], found["inputdata"]["path"]) == ("", "pn.fits")


@pytest.mark.parametrize(
    ("hashed", "expected"),
    [
        ((True, True), {"sha256": ["s0", "s1"], "sha256_of": "science HDUs"}),
        ((True, False), {"sha256": ["s0", "s1"], "sha256_of": ["science HDUs", "file"]}),
        ((True, None), {"sha256": ["s0", None], "sha256_of": "science HDUs"}),
        ((None, None), {}),
        ((True, False, None), {"sha256": ["s0", "s1", None], "sha256_of": ["science HDUs", "file", None]}),
    ],
)
def test_a_collection_is_one_output_with_the_hash_of_each_file(
    hashed: tuple[bool | None, ...], expected: dict[str, Any]
) -> None:
    """FITS files are hashed without VO-TAGS, others whole, some not at all."""
    files = [Product(f"lc{number}", "light curves", None if is_fits is None else Digests("w", f"s{number}", is_fits),
                     "curves") for number, is_fits in enumerate(hashed)]  # fmt: skip
    found = recorded(products=(files[0], Product("log.txt", "the log"), *files[1:]))
    assert [argument["outputdata"]["path"] for argument in found] == [[file.file for file in files], "log.txt"]
    known = {key: found[0]["outputdata"][key] for key in ("sha256", "sha256_of") if key in found[0]["outputdata"]}
    assert known == expected
    assert found[0]["outputdata"]["name"] == "curves"


def test_files_of_no_collection_stay_apart_though_one_is_named_like_a_collection() -> None:
    found = recorded(products=(Product("a", "1"), Product("b", "2"), Product("x", "3", None, "a")))
    assert [argument["outputdata"]["path"] for argument in found] == ["a", "b", ["x"]]


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("password", "abc", "(hidden)"),
        ("archive_token", "abc", "(hidden)"),
        ("token", None, None),
        ("token", 0, "(hidden)"),
        ("tokenizer", "abc", "abc"),
        ("urls", ("http://me:pw@x/a", 3, "plain"), ["http://(hidden)@x/a", 3, "plain"]),
        ("url", "http://x/a?token=abc&b=1", "http://x/a?token=(hidden)&b=1"),
        ("switch", False, False),
    ],
)
def test_secrets_are_not_recorded(name: str, value: Any, kept: Any) -> None:
    (found,) = recorded(values=(ParameterValue(name, "", True, value),))
    assert found["parameter"]["value"] == kept


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ftp://ada:secret@x.org/a b", "ftp://(hidden)@x.org/a b"),
        ("http://x/f?a=1;api_key=k#top", "http://x/f?a=1;api_key=(hidden)#top"),
        ("pn.fits?token=abc", "pn.fits?token=(hidden)"),
        ("PI > 200 / 3", "PI > 200 / 3"),
        ("no path", "no path"),
        ("/no/such/folder/on/this/machine", "/no/such/folder/on/this/machine"),
        ("/data/jobs/1/results/e.fits", "1/results/e.fits"),
        ("file:///data/jobs/1/e.fits and /data/jobs", "1/e.fits and jobs"),
        ("/data/archive/2/e.fits", "2/e.fits"),
        ("in /data/archive", "in archive"),
        ("a/b = c/d", "a/b = c/d"),
    ],
)
def test_folders_of_the_machine_and_credentials_are_taken_out_of_a_text(text: str, expected: str) -> None:
    assert redacted(text, [Path("/data/jobs"), Path("/data/archive"), Path("/")]) == expected


def test_a_path_that_is_there_is_cut_to_its_name(tmp_path: Path) -> None:
    (tmp_path / "pn.fits").touch()
    for text in (f"{tmp_path}/pn.fits", f"file://{tmp_path}/pn.fits"):
        assert redacted(text) == "pn.fits"
    assert redacted(f"{tmp_path}/mos.fits") == f"{tmp_path}/mos.fits"
    assert redacted("/") == "/"


def test_the_folders_that_no_step_names() -> None:
    found = recording.machine_folders(
        Path("/srv/data/jobs/ab/0a1b"), [("/archive/0123/pn.fits", "0123/pn.fits"), ("/spool/up", "other.fits")]
    )
    assert found == [Path("/srv/data/jobs/ab/0a1b"), Path("/srv/data"), Path("/archive")]
    assert recording.machine_folders(Path("/srv/work/ab/0a1b"), []) == [Path("/srv/work/ab/0a1b")]
    assert recording.machine_folders(Path("relative"), []) == []


def test_how_a_task_ran_is_told_in_utc_and_without_what_is_not_known() -> None:
    start = datetime(2026, 3, 1, 23, 30, tzinfo=timezone(timedelta(hours=-2)))
    run_info = RunInfo("fit", "2", "1a", None, start, datetime(2026, 3, 2, 2, 0, tzinfo=UTC), 0, more={"note": "x"})
    known = run_info.step_extra()
    assert {"python", "numpy", "astropy"} <= set(known.pop("software"))
    assert " " in known.pop("host")
    assert known == {"task": "fit", "version": "2", "job": "1a", "started": "2026-03-02T01:30:00Z",
                     "ended": "2026-03-02T02:00:00Z", "exit_status": 0, "note": "x"}  # fmt: skip
    assert {"job", "parent", "started", "ended", "exit_status", "calibration"}.isdisjoint(RUN.step_extra())


@pytest.mark.parametrize(
    ("file", "name"),
    [("lc_1.fits", "curves"), ("one.fits", ""), ("two.txt", ""), ("LC_1.fits", ""), ("deep/x.png", "pictures")],
)
def test_the_collection_of_a_file(file: str, name: str) -> None:
    globs = {"curves": "lc_*.fits", "only": "one.fits", "pictures": "deep/*"}
    assert recording.collection_of(file, globs) == name


def test_calibration_files_are_named_once_by_who_names_them(tmp_path: Path) -> None:
    header = fits.Header({"GAINFILE": "CALDB", "RESPFILE": "NONE", "CALINDEX": "/ccf/ccf.cif[CALINDEX]"})
    further = fits.Header({"ANCRFILE": "pn.arf", "BPIXFILE": "a/bad.fits"})
    hdus = fits.HDUList([fits.PrimaryHDU(header=header), fits.ImageHDU(header=further), fits.ImageHDU(header=further)])
    hdus.writeto(tmp_path / "events.fits")
    (tmp_path / "text.txt").write_text("no FITS file")
    files = [tmp_path / "gone.fits", tmp_path / "text.txt", tmp_path / "events.fits"]
    found = recording.calibration(files, {"SAS_CCF": "/job/ccf.cif", "CALDB": "/soft/CALDB:/soft/caldb2", "HOME": "/x"})
    assert found == (
        {"name": "ccf.cif", "from": "SAS_CCF"},
        {"name": "CALDB", "from": "CALDB"},
        {"name": "caldb2", "from": "CALDB"},
        {"name": "ccf.cif", "from": "CALINDEX"},
        {"name": "bad.fits", "from": "BPIXFILE"},
        {"name": "pn.arf", "from": "ANCRFILE"},
    )
