"""What becomes of the files a script left: named, measured, tagged; what is no plain file is left out and told."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from provenance import obscore, steps, votags
from uws_server.execution.products import Products, collect
from uws_server.jobs.definition import Definition, Entry, ParameterSpec, ResultSpec
from uws_server.jobs.job import Job, ParameterValue, new_id
from uws_server.jobs.phases import Phase

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
URL = "http://x.org/rest/spectrum/1/results"
DEFINITION = Definition(
    "spectrum",
    "1.0",
    "Spectrum",
    Entry("python", "run.py"),
    parameters=(
        ParameterSpec("eventlist", "eventlist", description="Event list.", required=True),
        ParameterSpec("radius", "float", description="Radius.", editable=True),
    ),
    results=(
        ResultSpec("source", "source.fits", "application/fits", "Source spectrum."),
        ResultSpec("background", "back*.fits", "application/fits", optional=True),
    ),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("inputs", "results"):
        (tmp_path / name).mkdir()
    (tmp_path / "job.log").write_text("[STAGE 1/1] Done\n", encoding="utf-8")
    return tmp_path


def spectrum(path: Path, counts: int = 3) -> bytes:
    """A small spectrum on disk; returns its bytes."""
    columns = [fits.Column("CHANNEL", "J", array=np.arange(4)), fits.Column("COUNTS", "J", array=np.full(4, counts))]
    table = fits.BinTableHDU.from_columns(columns, name="SPECTRUM")
    table.header.update(TELESCOP="XMM", INSTRUME="EPN", HDUCLASS="OGIP", HDUCLAS1="SPECTRUM", EXPOSURE=100.0)
    primary = fits.PrimaryHDU()
    primary.header["OBS_ID"] = "0123456701"
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.HDUList([primary, table]).writeto(path)
    return path.read_bytes()


def job(**values: ParameterValue) -> Job:
    return Job(new_id(), "spectrum", "1.0", Phase.EXECUTING, NOW, 60, started=NOW, parameters=values)


def collected(folder: Path, of: Job | None = None, definition: Definition = DEFINITION) -> Products:
    return collect(of or job(), definition, folder, URL, NOW)


def log_of(folder: Path) -> str:
    return (folder / "job.log").read_text(encoding="utf-8")


def test_declared_results_come_first_then_the_others_then_the_log(folder: Path) -> None:
    spectrum(folder / "results/source.fits")
    spectrum(folder / "results/back_1.fits")
    spectrum(folder / "results/sub/back_2.fits")
    (folder / "results/regions.reg").write_text("fk5", encoding="utf-8")
    found = collected(folder)
    assert [(one.name, one.file, one.mime) for one in found.results] == [
        ("source", "results/source.fits", "application/fits"),
        ("background", "results/back_1.fits", "application/fits"),
        ("background_2", "results/sub/back_2.fits", "application/fits"),
        ("regions", "results/regions.reg", "application/octet-stream"),
        ("log", "job.log", "text/plain"),
    ]
    assert (found.notes, found.missing) == ((), ())
    assert found.results[0].description == "Source spectrum."


def test_size_and_hash_are_those_of_the_file_that_is_served(folder: Path) -> None:
    spectrum(folder / "results/source.fits")
    for one in collected(folder).results:
        content = (folder / one.file).read_bytes()
        assert (one.size, one.sha256) == (len(content), hashlib.sha256(content).hexdigest())


def test_ids_are_new_each_time(folder: Path) -> None:
    spectrum(folder / "results/source.fits")
    ids = [one.id for one in (*collected(folder).results, *collected(folder).results)]
    assert len(set(ids)) == 4


def test_a_result_that_is_missing_is_told(folder: Path) -> None:
    assert collected(folder).missing == ("source.fits",)
    (folder / "results/source.csv").write_text("1,2", encoding="utf-8")
    found = collected(folder)
    assert found.missing == ("source.fits",)
    assert "source" not in [one.name for one in found.results]


def test_a_job_that_left_no_folder_has_no_results(tmp_path: Path) -> None:
    assert collected(tmp_path) == Products((), (), ("source.fits",))


def test_every_result_has_a_name_of_its_own(folder: Path) -> None:
    results = (ResultSpec("a", "a*.txt"), ResultSpec("a_2", "b.txt"))
    for name in ("a1.txt", "a2.txt", "a3.txt", "b.txt", "log", "log.txt", "a-ü.dat", "a-ö.dat", "a.dat", ".hidden"):
        (folder / "results" / name).write_text(name, encoding="utf-8")
    found = collected(folder, definition=replace(DEFINITION, results=results))
    files = {one.name: Path(one.file).name for one in found.results}
    assert len(files) == len(found.results) == 11
    assert (files["a"], files["a_2"], files["log"]) == ("a1.txt", "b.txt", "job.log")
    assert all(name.isascii() and name.replace("_", "").replace("-", "").isalnum() for name in files)


# --- tags --------------------------------------------------------------------------------------------------


def test_a_fits_result_is_tagged_and_its_science_stays_as_it_was(folder: Path) -> None:
    before = spectrum(folder / "results/source.fits")
    of = job(radius=ParameterValue("40", 40.0), eventlist=ParameterValue("a.FTZ", "inputs/eventlist-a.FTZ", "upload"))
    spectrum(folder / "inputs/eventlist-a.FTZ")
    found = collected(folder, of)
    assert found.notes == ()
    path = folder / "results/source.fits"
    assert path.read_bytes().startswith(before)
    tags = votags.read(path)
    assert tags is not None
    assert (tags.row["access_url"], tags.row["dataproduct_type"]) == (f"{URL}/source.fits", "spectrum")
    (step,) = tags.steps
    assert (step.extra["task"], step.extra["job"]) == ("spectrum", of.id)
    assert [type(arg).__name__ for arg in step.args] == ["Parameter", "InputData", "OutputData"]
    radius, event_list, output = step.args
    assert isinstance(radius, steps.Parameter)
    assert (radius.value, radius.editable, radius.description) == ("40", True, "Radius.")
    assert isinstance(event_list, steps.InputData)
    assert event_list.path == "a.FTZ"
    assert isinstance(output, steps.OutputData)
    assert output.path == "source.fits"
    with fits.open(path) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "SPECTRUM", "VO-TAGS"]
    if shutil.which("fitsverify"):
        said = subprocess.run(["fitsverify", "-q", str(path)], capture_output=True, text=True, check=False).stdout
        assert said.startswith("verification OK"), said


def test_the_steps_of_an_input_come_before_our_own(folder: Path) -> None:
    spectrum(folder / "inputs/eventlist-a.fits")
    earlier = steps.Step((steps.Parameter(0, "How.", True, "x"),), {"task": "filter"})
    votags.write(folder / "inputs/eventlist-a.fits", obscore.ObsCoreRow({"calib_level": 2}), [earlier])
    spectrum(folder / "results/source.fits")
    collected(folder, job(eventlist=ParameterValue("a.fits", "inputs/eventlist-a.fits", "upload")))
    tags = votags.read(folder / "results/source.fits")
    assert tags is not None
    assert [step.extra["task"] for step in tags.steps] == ["filter", "spectrum"]


def test_what_the_script_said_of_its_steps_is_used(folder: Path) -> None:
    spectrum(folder / "results/source.fits")
    own = steps.Step((steps.Parameter(0, "How.", True, "x"),), {"task": "the script's own"})
    (folder / "steps.json").write_text(steps.dump([own]), encoding="ascii")
    collected(folder)
    tags = votags.read(folder / "results/source.fits")
    assert tags is not None
    assert tags.steps == (own,)


@pytest.mark.parametrize("content", [b"{", b"\xff", b'{"provenance": [{}]}', b" " * 20_000_001])
def test_steps_that_cannot_be_used_are_told_and_ours_taken(folder: Path, content: bytes) -> None:
    spectrum(folder / "results/source.fits")
    (folder / "steps.json").write_bytes(content)
    found = collected(folder)
    assert "steps.json cannot be used" in found.notes[0]
    assert "[WARNING] steps.json cannot be used" in log_of(folder)
    tags = votags.read(folder / "results/source.fits")
    assert tags is not None
    assert tags.steps[0].extra["task"] == "spectrum"


def test_an_input_whose_provenance_cannot_be_read_is_told(folder: Path) -> None:
    spectrum(folder / "results/source.fits")
    (folder / "inputs/eventlist-a.fits").write_bytes(b"no FITS")
    found = collected(folder, job(eventlist=ParameterValue("a.fits", "inputs/eventlist-a.fits", "upload")))
    assert "the provenance of a.fits cannot be read" in found.notes[0]
    assert votags.read(folder / "results/source.fits") is not None


def test_tags_of_the_script_are_left_as_they_are(folder: Path) -> None:
    path = folder / "results/source.fits"
    spectrum(path)
    votags.write(path, obscore.ObsCoreRow({"calib_level": 3}), [])
    before = path.read_bytes()
    collected(folder)
    assert path.read_bytes() == before


def test_collecting_twice_gives_the_same_files(folder: Path) -> None:
    """A server killed while it registered the results does it again when it starts."""
    spectrum(folder / "results/source.fits")
    first = [(one.name, one.size, one.sha256) for one in collected(folder).results]
    assert [(one.name, one.size, one.sha256) for one in collected(folder).results] == first


@pytest.mark.parametrize("kept", [0.5, 0.999])
def test_a_fits_file_that_was_cut_short_is_kept_and_told(folder: Path, kept: float) -> None:
    whole = spectrum(folder / "whole.fits")
    cut = whole[: int(kept * len(whole))]
    (folder / "results/source.fits").write_bytes(cut)
    found = collected(folder)
    assert "source carries no VO-TAGS" in found.notes[0]
    assert (folder / "results/source.fits").read_bytes() == cut
    assert found.missing == ()


def test_a_gzipped_fits_file_is_kept_and_told(folder: Path) -> None:
    spectrum(folder / "results/source.fits")
    content = gzip.compress((folder / "results/source.fits").read_bytes())
    (folder / "results/more.fits.gz").write_bytes(content)
    (folder / "results/text.gz").write_bytes(gzip.compress(b"text"))
    (folder / "results/broken.gz").write_bytes(b"\x1f\x8b" + b"\0" * 50)
    found = collected(folder)
    assert [note for note in found.notes if "gzipped" in note] == list(found.notes)
    assert len(found.notes) == 1
    assert (folder / "results/more.fits.gz").read_bytes() == content
    assert {one.name: one.mime for one in found.results}["more_fits"] == "application/octet-stream"


# --- what is no result -------------------------------------------------------------------------------------


def test_links_and_pipes_are_no_results(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret").write_text("secret", encoding="utf-8")
    before = spectrum(outside / "other.fits")
    spectrum(folder / "results/source.fits")
    (folder / "results/passwd").symlink_to(outside / "secret")
    (folder / "results/linked.fits").symlink_to(outside / "other.fits")
    (folder / "results/dead").symlink_to("gone")
    (folder / "results/sub").symlink_to(outside)
    os.mkfifo(folder / "results/pipe")
    found = collected(folder)
    assert [one.name for one in found.results] == ["source", "log"]
    assert found.notes == tuple(
        f"{name!r} is not a plain file and is no result" for name in ("dead", "linked.fits", "passwd", "pipe", "sub")
    )
    assert "[WARNING] 'passwd' is not a plain file" in log_of(folder)
    assert (outside / "other.fits").read_bytes() == before


@pytest.mark.parametrize("name", [b"\xff.fits", b"a\nb.txt", b"a\x1b[31m.txt", b"data:text/html\nX: y,.txt"])
def test_a_name_that_cannot_be_shown_does_not_spoil_the_others(folder: Path, name: bytes) -> None:
    spectrum(folder / "results/source.fits")
    (folder / "results" / os.fsdecode(name)).parent.mkdir(exist_ok=True)
    (folder / "results" / os.fsdecode(name)).write_bytes(b"1")
    found = collected(folder)
    assert [one.name for one in found.results if one.name in ("source", "log")] == ["source", "log"]
    assert found.missing == ()
    assert all(one.file.isprintable() and one.mime.isprintable() for one in found.results)
    assert all(note.isprintable() and "no result" in note for note in found.notes)


@pytest.mark.parametrize(
    ("name", "mime"),
    [
        ("plot.png", "image/png"),
        ("notes.txt", "text/plain"),
        ("notes.txt.gz", "application/octet-stream"),
        ("data:text,html", "application/octet-stream"),
        ("nothing", "application/octet-stream"),
    ],
)
def test_the_type_is_told_by_the_suffix(folder: Path, name: str, mime: str) -> None:
    (folder / "results" / name).write_bytes(b"1")
    assert collected(folder).results[0].mime == mime


def test_fits_is_told_by_its_content(folder: Path) -> None:
    spectrum(folder / "results/product")
    (folder / "results/empty.dat").write_bytes(b"")
    assert {one.name: one.mime for one in collected(folder).results}["product"] == "application/fits"


LOCKED = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from uws_server.execution.products import collect
from uws_server.jobs.definition import Definition, Entry, ResultSpec
from uws_server.jobs.job import Job
from uws_server.jobs.phases import Phase
if os.geteuid() == 0:
    os.setegid(65534); os.seteuid(65534)  # root reads every file
results = Path(sys.argv[1], "results")
results.mkdir()
for name in ("a.txt", "locked.fits"):
    (results / name).write_text("1")
(results / "locked.fits").chmod(0)
now = datetime.now(UTC)
definition = Definition("d", "1", "D", Entry("python", "run.py"), results=(ResultSpec("a", "a.txt"),))
found = collect(Job("0" * 32, "d", "1", Phase.EXECUTING, now, 60), definition, results.parent, "http://x.org", now)
print([one.name for one in found.results], found.notes)
"""


def test_a_file_that_cannot_be_read_does_not_spoil_the_others() -> None:
    with tempfile.TemporaryDirectory() as name:  # not tmp_path, which only its owner may enter
        Path(name).chmod(0o777)
        done = subprocess.run([sys.executable, "-c", LOCKED, name], capture_output=True, text=True, check=False)
    assert done.stdout == "['a', 'log'] (\"'locked.fits' cannot be read and is no result\",)\n", done.stderr
