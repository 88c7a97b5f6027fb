"""What becomes of the files a script left: named, measured, tagged; what is no plain file is left out and told."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import platform
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
from provenance.fits.digests import digests
from reduction import task
from uws_server.execution import staging
from uws_server.execution.products import Products, collect
from uws_server.jobs.definition import Definition, Entry, ParameterSpec, ResultSpec
from uws_server.jobs.job import Job, ParameterValue, new_id
from uws_server.jobs.phases import Phase
from uws_server.storage.library import Installed
from uws_server.storage.uses import Use

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
    assert [type(arg).__name__ for arg in step.args] == ["InputData", "Parameter", "OutputData"]
    event_list, radius, output = step.args
    assert isinstance(radius, steps.Parameter)
    assert (radius.value, radius.editable, radius.description) == (40.0, True, "Radius.")
    assert isinstance(event_list, steps.InputData)
    assert event_list.path == "a.FTZ"
    assert isinstance(output, steps.OutputData)
    assert output.path == "source.fits"
    assert (output.location, output.description) == (URL, "Source spectrum.")
    assert output.extra["sha256"] == hashlib.sha256(before).hexdigest()
    assert output.extra["sha256_of"] == "science HDUs"
    with fits.open(path) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "SPECTRUM", "VO-TAGS"]
    if shutil.which("fitsverify"):
        said = subprocess.run(["fitsverify", "-q", str(path)], capture_output=True, text=True, check=False).stdout
        assert said.startswith("verification OK"), said


def test_the_hash_of_a_product_is_verified_by_stripping_it(folder: Path) -> None:
    spectrum(folder / "results/source.fits")
    collected(folder)
    path = folder / "results/source.fits"
    assert digests(path).whole == hashlib.sha256(path.read_bytes()).hexdigest()
    (step,) = steps.parse((folder / "steps.json").read_bytes())
    (output,) = (arg for arg in step.args if isinstance(arg, steps.OutputData))
    assert digests(path).science == output.extra["sha256"]
    assert votags.strip(path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == output.extra["sha256"]


def test_files_of_one_glob_are_told_as_one_collection(folder: Path) -> None:
    contents = [spectrum(folder / f"results/back_{number}.fits", number) for number in (1, 2)]
    spectrum(folder / "results/source.fits")
    (folder / "results/notes.txt").write_text("3", encoding="utf-8")
    collected(folder)
    (step,) = steps.parse((folder / "steps.json").read_bytes())
    assert [arg.path for arg in step.args if isinstance(arg, steps.OutputData)] == [
        "source.fits", ("back_1.fits", "back_2.fits"), "notes.txt"]  # fmt: skip
    backs = step.args[1]
    assert backs.extra["name"] == "background"
    assert backs.extra["sha256"] == [hashlib.sha256(content).hexdigest() for content in contents]
    assert step.args[2].extra["sha256_of"] == "file"


def test_the_circumstances_are_told_and_no_name_of_the_machine(folder: Path) -> None:
    spectrum(folder / "results/source.fits")
    status = {"reason": "exit", "code": 3, "start": 1.0, "end": 2.0, "cpu_s": 0.1, "max_rss_kib": 9}
    (folder / "status.json").write_text(json.dumps(status), encoding="utf-8")
    environment = {"SAS_CCF": "/opt/sas/run7/ccf.cif", "CALDB": "/opt/CALDB"}
    (folder / "launch.json").write_text(json.dumps({"environment": environment}), encoding="utf-8")
    collected(folder, replace(job(), parent="f" * 32))
    (step,) = steps.parse((folder / "steps.json").read_bytes())
    assert step.extra["started"] == step.extra["ended"] == "2026-11-20T12:00:00Z"
    assert (step.extra["exit_status"], step.extra["parent"]) == (3, "f" * 32)
    assert step.extra["host"] == f"{platform.system()} {platform.machine()}"
    assert step.extra["software"]["numpy"] == np.__version__
    assert step.extra["calibration"] == [{"name": "ccf.cif", "from": "SAS_CCF"}, {"name": "CALDB", "from": "CALDB"}]
    text = (folder / "steps.json").read_text(encoding="ascii")
    assert platform.node() not in text
    assert "/opt" not in text


def test_calibration_files_are_those_that_headers_name(folder: Path) -> None:
    spectrum(folder / "results/source.fits")
    with fits.open(folder / "results/source.fits", mode="update") as hdus:
        hdus[1].header.update(RESPFILE="/data/rmf/epn_ff20.rmf", ANCRFILE="NONE", CALDBVER="xti20190516")
    collected(folder)
    (step,) = steps.parse((folder / "steps.json").read_bytes())
    assert step.extra["calibration"] == [
        {"name": "xti20190516", "from": "CALDBVER"}, {"name": "epn_ff20.rmf", "from": "RESPFILE"}]  # fmt: skip


def test_no_secret_and_no_local_path_enters_the_steps(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    archive = tmp_path_factory.mktemp("archive")
    spectrum(archive / "2001/events.fits")
    spectrum(folder / "results/source.fits")
    url = ParameterValue("https://ann:hunter2@x.org/a/b.fits?token=s3cret&n=1", "inputs/b.fits", "url")
    spectrum(folder / "inputs/b.fits")
    collected(
        folder,
        job(
            eventlist=ParameterValue("2001/events.fits", str(archive / "2001/events.fits"), "archive"),
            web=url,
            radius=ParameterValue("", f"see {folder}/notes and {archive}/list.txt"),
            home=ParameterValue("", str(Path(sys.executable))),
            api_token=ParameterValue("", "abcdef"),
            several=ParameterValue.several([ParameterValue("a", f"{folder}/x"), ParameterValue("2", 2)]),
        ),
    )
    text = (folder / "steps.json").read_text(encoding="ascii")
    for secret in ("hunter2", "s3cret", "abcdef", str(folder), str(archive), sys.executable):
        assert secret not in text
    (step,) = steps.parse(text)
    inputs = [arg for arg in step.args if isinstance(arg, steps.InputData)]
    assert [(arg.location, arg.path) for arg in inputs] == [
        ("2001", "events.fits"), ("https://(hidden)@x.org/a", "b.fits?token=(hidden)&n=1")]  # fmt: skip
    values = {arg.extra["name"]: arg.value for arg in step.args if isinstance(arg, steps.Parameter)}
    assert values["radius"] == "see notes and list.txt"
    assert values["home"] == Path(sys.executable).name
    assert values["api_token"] == "(hidden)"
    assert values["several"] == ("x", 2)


def test_a_script_that_tells_its_steps_and_one_that_does_not_are_told_alike(folder: Path, tmp_path: Path) -> None:
    given = {
        "radius": ParameterValue("40", 40.0),
        "eventlist": ParameterValue("a.fits", "inputs/eventlist-a.fits", "upload"),
    }
    of = replace(job(**given), parent="e" * 32)
    spectrum(folder / "inputs/eventlist-a.fits")
    shutil.copytree(folder, tmp_path / "told")
    installed = Installed(DEFINITION, tmp_path, "", "")
    document = staging.parameters_document(of, installed, "http://x.org")
    (tmp_path / "told/parameters.json").write_text(json.dumps(document), encoding="utf-8")
    run = task.read_task(tmp_path / "told", 1)
    run.path("eventlist")
    spectrum(run.output("source.fits", "Source spectrum."))
    spectrum(run.output("back_1.fits", ""))
    run.finish()
    run.close()
    spectrum(folder / "results/source.fits")
    spectrum(folder / "results/back_1.fits")
    collected(folder, of)
    told, made = (steps.parse((place / "steps.json").read_bytes())[0] for place in (tmp_path / "told", folder))
    changing = {"started", "ended", "exit_status"}
    assert told.extra.keys() == made.extra.keys() | {"exit_status"}
    assert {key: told.extra[key] for key in made.extra.keys() - changing} == {
        key: made.extra[key] for key in made.extra.keys() - changing
    }
    places = {f"http://x.org/rest/spectrum/{of.id}/results": URL}
    assert [replace(arg, location=places.get(arg.location, arg.location)) if hasattr(arg, "location") else arg
            for arg in told.args] == list(made.args)  # fmt: skip


def test_what_a_job_used_is_told_with_its_hash(folder: Path) -> None:
    spectrum(folder / "results/source.fits")
    content = spectrum(folder / "inputs/eventlist-a.fits")
    found = collected(folder, job(eventlist=ParameterValue("a.fits", "inputs/eventlist-a.fits", "upload")))
    assert found.used == (Use("eventlist", "a.fits", hashlib.sha256(content).hexdigest()),)


def test_a_tagged_input_is_told_by_both_its_hashes(folder: Path) -> None:
    before = spectrum(folder / "inputs/eventlist-a.fits")
    votags.write(folder / "inputs/eventlist-a.fits", obscore.ObsCoreRow({"calib_level": 2}), [])
    spectrum(folder / "results/source.fits")
    collected(folder, job(eventlist=ParameterValue("a.fits", "inputs/eventlist-a.fits", "upload")))
    (step,) = steps.parse((folder / "steps.json").read_bytes())
    assert step.args[0].extra["science_sha256"] == hashlib.sha256(before).hexdigest()
    assert step.args[0].extra["sha256"] == digests(folder / "inputs/eventlist-a.fits").whole


def test_the_steps_of_an_input_come_before_our_own(folder: Path) -> None:
    spectrum(folder / "inputs/eventlist-a.fits")
    earlier = steps.Step((steps.Parameter(0, "How.", True, "x"),), {"task": "filter"})
    votags.write(folder / "inputs/eventlist-a.fits", obscore.ObsCoreRow({"calib_level": 2}), [earlier])
    spectrum(folder / "results/source.fits")
    collected(folder, job(eventlist=ParameterValue("a.fits", "inputs/eventlist-a.fits", "upload")))
    tags = votags.read(folder / "results/source.fits")
    assert tags is not None
    assert [step.extra["task"] for step in tags.steps] == ["filter", "spectrum"]


def test_the_steps_in_a_gzipped_input_come_before_our_own(folder: Path) -> None:
    before = steps.Step((steps.OutputData(0, "events", False, "", "events.fits"),), {"task": "barycen"})
    spectrum(folder / "events.fits")
    votags.write(folder / "events.fits", obscore.ObsCoreRow(calib_level=2), [before])
    (folder / "inputs/events.FTZ").write_bytes(gzip.compress((folder / "events.fits").read_bytes()))
    spectrum(folder / "results/source.fits")
    found = collected(folder, job(eventlist=ParameterValue("events.FTZ", "inputs/events.FTZ", "upload")))
    assert found.notes == ()
    assert [step.extra["task"] for step in steps.read(folder / "steps.json")] == ["barycen", "spectrum"]
    tags = votags.read(folder / "results/source.fits")
    assert tags is not None
    assert tags.steps[0] == before


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


def test_an_input_whose_provenance_cannot_be_read_is_told_by_the_name_its_user_knows(folder: Path) -> None:
    spectrum(folder / "results/source.fits")
    (folder / "inputs/eventlist-a.fits").write_bytes(b"SIMPLE  =                    T, and no more")
    found = collected(folder, job(eventlist=ParameterValue("a.fits", "inputs/eventlist-a.fits", "upload")))
    assert "the provenance of a.fits cannot be read" in found.notes[0]
    assert str(folder) not in log_of(folder)
    assert votags.read(folder / "results/source.fits") is not None


def test_an_input_that_is_no_fits_file_has_no_provenance_to_miss(folder: Path) -> None:
    (folder / "inputs/eventlist-a.txt").write_bytes(b"plain text")
    found = collected(folder, job(eventlist=ParameterValue("a.txt", "inputs/eventlist-a.txt", "upload")))
    assert not [note for note in found.notes if "a.txt" in note]


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


@pytest.mark.parametrize("missing", [1, 2000])
def test_a_fits_file_that_was_cut_short_is_kept_and_told(folder: Path, missing: int) -> None:
    """One byte of the data is enough; of a last block that is not filled up none is missing (FITS 4.0, 3.3.2)."""
    whole = spectrum(folder / "whole.fits")
    with fits.open(folder / "whole.fits") as hdus:
        end = hdus[1].fileinfo()["datLoc"] + hdus[1].size
    cut = whole[: end - missing]
    (folder / "results/source.fits").write_bytes(cut)
    found = collected(folder)
    assert "source carries no VO-TAGS" in found.notes[0]
    assert (folder / "results/source.fits").read_bytes() == cut
    assert found.missing == ()


def test_a_gzipped_fits_file_is_tagged_like_a_plain_one(folder: Path) -> None:
    spectrum(folder / "results/source.fits")
    content = (folder / "results/source.fits").read_bytes()
    (folder / "results/more.fits.gz").write_bytes(gzip.compress(content))
    (folder / "results/text.gz").write_bytes(gzip.compress(b"text", mtime=0))
    (folder / "results/broken.gz").write_bytes(b"\x1f\x8b" + b"\0" * 50)
    found = collected(folder)
    assert found.notes == ()
    packed, plain = (votags.read(folder / "results" / name) for name in ("more.fits.gz", "source.fits"))
    assert packed is not None and plain is not None
    assert packed.steps == plain.steps
    assert gzip.decompress((folder / "results/more.fits.gz").read_bytes()).startswith(content)
    made = {arg.path: arg.extra["sha256"] for arg in plain.steps[-1].args if isinstance(arg, steps.OutputData)}
    assert made["more.fits.gz"] == made["source.fits"]  # the science HDUs are the same
    assert (folder / "results/text.gz").read_bytes() == gzip.compress(b"text", mtime=0)
    assert {one.name: one.mime for one in found.results}["more_fits"] == "application/octet-stream"


def test_numbered_results_are_in_the_order_of_their_numbers(folder: Path) -> None:
    for name in ("r10.txt", "r2.txt", "r1.txt", "\u0663.txt", "r.txt", "12.txt", "R3.txt", "r02.txt"):
        (folder / "results" / name).write_text(name, encoding="utf-8")
    order = [Path(one.file).name for one in collected(folder).results if one.name != "log"]
    assert order == ["12.txt", "R3.txt", "r1.txt", "r02.txt", "r2.txt", "r10.txt", "r.txt", "\u0663.txt"]


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


def test_a_declared_result_whose_type_is_left_open_is_told_by_its_content(folder: Path) -> None:
    spectrum(folder / "results/source.fits")
    spectrum(folder / "results/back_1.fits")
    declared = (ResultSpec("open", "source.fits"), ResultSpec("said", "back_1.fits", "application/x-pha"))
    definition = replace(DEFINITION, results=declared)
    assert {one.name: one.mime for one in collected(folder, definition=definition).results if one.name != "log"} == {
        "open": "application/fits",
        "said": "application/x-pha",
    }


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
