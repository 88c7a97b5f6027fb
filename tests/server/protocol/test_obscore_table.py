"""ObsCore rows in every format, read back by astropy and checked by stilts; /obscore of a real server, by pyvo."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
import pyvo
import requests
import sqlalchemy as sa
from astropy.io import fits
from astropy.io.votable import parse
from astropy.table import Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyvo.dal.adhoc import DatalinkResults
from pyvo.dal.tap import TAPResults

from checkout import ROOT
from provenance import obscore, votags
from provenance.obscore import ALL_COLUMNS, ObsCoreRow, Value, plaintable, table
from provenance.steps import Parameter, Step
from reduction.simulate import simulate, small
from serving import Served, running_server
from statements import noted
from uws_server import cli, client
from uws_server.archive.observations import Archive
from uws_server.config import Config
from uws_server.errors import ConfigurationError
from uws_server.jobs.job import Job, Result, new_id, utcnow
from uws_server.jobs.phases import Phase
from uws_server.protocol.obscore_formats import logged
from uws_server.services import obscore as obscore_service
from uws_server.services.archive_files import ArchiveFiles
from uws_server.services.archive_search import ArchiveSearch
from uws_server.services.context import Services
from uws_server.services.exposures import Exposures
from uws_server.services.rights import Anonymous, Caller, Rights
from uws_server.storage import obscore_rows, tables
from uws_server.storage.archive_rows import ArchiveRows
from uws_server.storage.archive_search import ArchiveSearchStore
from uws_server.storage.files import JobFiles
from uws_server.storage.jobstore import JobStore
from uws_server.storage.obscore_rows import KeptRow
from uws_server.storage.rows import job_row
from uwsjobs import change, create, define, reached

ROW = ObsCoreRow(
    dataproduct_type="spectrum", calib_level=2, obs_collection="XMM-Newton", obs_id="0693760101",
    obs_publisher_did="ivo://x/y?1&2<3", target_name='Étoile, "x" & <y>', obs_creation_date="2026-11-20T13:06:29",
    s_ra=359.4624976619713, s_region="Circle ICRS 1 2 0.1", access_estsize=2**40, em_min=1.0332016535833333e-10,
    o_stat_error=0.5, ev_xel=7, t_intervals="40/1-2",
)  # fmt: skip


def read(document: bytes, kind: str) -> Table:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if kind == "ecsv":
            return Table.read(document.decode().split("\n"), format="ascii.ecsv")
        return Table.read(io.BytesIO(document), format="votable")


def values(read_row: Any, names: list[str]) -> dict[str, Value]:
    """A row of astropy without what is masked or empty."""
    plain = {name: read_row[name] for name in names}
    known = {name: value for name, value in plain.items() if value is not np.ma.masked and str(value) not in ("", "--")}
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in known.items()}


@pytest.mark.parametrize("kind", ["votable", "ecsv"])
def test_astropy_reads_what_was_written(kind: str) -> None:
    write = table.votable if kind == "votable" else table.ecsv
    rows = [ROW, ObsCoreRow(), ObsCoreRow(obs_id="2")]
    found = read(b"".join(write(rows)), kind)
    assert found.colnames == [column.name for column in ALL_COLUMNS]
    assert [values(row, found.colnames) for row in found] == [dict(row) for row in rows]
    for column in ALL_COLUMNS:
        unit = found[column.name].unit
        expected = None if column.unit in (None, "o_unit") else column.unit
        assert (None if unit is None else unit.to_string()) == expected
        assert found[column.name].description == column.description
        assert found[column.name].meta.get("ucd") == column.ucd
    assert found["calib_level"].dtype.kind == "i"


def test_the_fields_are_those_of_the_standard() -> None:
    document = parse(io.BytesIO(b"".join(table.votable([ROW]))))
    fields = {field.name: field for field in document.get_first_table().fields}
    for column in ALL_COLUMNS:
        field = fields[column.name]
        assert (field.ucd, field.utype or "") == (column.ucd, column.utype)
    assert fields["s_ra"].utype.startswith("obscore:Char.SpatialAxis")
    assert (fields["s_region"].xtype, fields["obs_creation_date"].xtype) == ("adql:REGION", "timestamp")
    assert fields["access_estsize"].datatype == "long"


@pytest.mark.parametrize(("most", "status", "count"), [(None, "OK", 3), (3, "OK", 3), (2, "OVERFLOW", 2),
                                                       (0, "OVERFLOW", 0)])  # fmt: skip
def test_no_more_than_were_asked_for(most: int | None, status: str, count: int) -> None:
    document = b"".join(table.votable([ROW] * 3, most))
    assert document.count(b"<TR>") == count
    assert (b'value="OVERFLOW"' in document) == (status == "OVERFLOW")
    assert document.count(b"</VOTABLE>") == 1
    assert len(read(b"".join(table.ecsv([ROW] * 3, most)), "ecsv")) == count


def test_a_row_that_cannot_be_had_ends_the_document() -> None:
    def rows() -> Iterator[ObsCoreRow]:
        yield ROW
        raise OSError("the disk is gone")

    pieces = []
    with pytest.raises(OSError, match="the disk is gone"):
        pieces.extend(piece for piece in _kept(table.votable(rows()), pieces))
    document = b"".join(pieces)
    assert b'<INFO name="QUERY_STATUS" value="ERROR">not all rows could be read</INFO>' in document
    assert document.endswith(b"</VOTABLE>\n")
    assert b"".join(logged(table.votable(rows()))) == document


def _kept(pieces: Iterator[bytes], into: list[bytes]) -> Iterator[bytes]:
    """Put the pieces where they stay when the one that makes them fails."""
    for piece in pieces:
        into.append(piece)
    yield from ()


text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.fixed_dictionaries({}, optional={"target_name": text, "obs_title": text, "s_ra": st.floats(0, 360),
                                                    "em_xel": st.integers(0, 2**62)}), max_size=4))  # fmt: skip
def test_any_values(given_rows: list[dict[str, Any]]) -> None:
    rows = [ObsCoreRow(row) for row in given_rows]
    for kind, write in (("votable", table.votable), ("ecsv", table.ecsv)):
        found = read(b"".join(write(rows)), kind)
        assert len(found) == len(rows)
        for row, came in zip(rows, found, strict=True):
            for name in ("s_ra", "em_xel"):
                assert values(came, [name]) == {key: row[key] for key in (name,) if key in row}
            if kind == "votable":
                for name in ("target_name", "obs_title"):
                    expected = "".join(c if _in_xml(c) else "\ufffd" for c in str(row.get(name, "")))
                    assert str(came[name]).strip() == expected.strip()
    assert len(list(csv.DictReader(io.StringIO(_text(plaintable.delimited(rows, None, ",")), newline="")))) == len(rows)
    lines = _text(plaintable.delimited(rows, None, "\t")).splitlines()
    assert {len(line.split("\t")) for line in lines} == {len(ALL_COLUMNS)}
    document = json.loads(_text(plaintable.json_table(rows)))["data"]
    assert document == [[row.get(column.name) for column in ALL_COLUMNS] for row in rows]
    with fits.open(io.BytesIO(b"".join(plaintable.fits_table(rows)))) as hdus:
        hdus.verify("exception")
        written = Table.read(hdus[1])
    assert [None if np.ma.is_masked(value) else int(value) for value in written["em_xel"]] == [
        row.get("em_xel") for row in rows
    ]


def _in_xml(letter: str) -> bool:
    return letter in "\t\n\r" or " " <= letter <= "\ud7ff" or "\ue000" <= letter <= "\ufffd" or letter >= "\U00010000"


# --- the server ----------------------------------------------------------------------------------------------------


def _text(pieces: Iterator[bytes]) -> str:
    return b"".join(pieces).decode()


def test_fitsverify_finds_nothing(tmp_path: Path) -> None:
    if shutil.which("fitsverify") is None:
        pytest.skip("install the Debian package fitsverify")
    for name, rows in (("none", []), ("some", [ROW, ObsCoreRow(), ObsCoreRow(obs_id="2")] * 200)):
        path = tmp_path / f"{name}.fits"
        path.write_bytes(b"".join(plaintable.fits_table(rows)))
        done = subprocess.run(["fitsverify", "-q", str(path)], capture_output=True, text=True, check=False, timeout=300)
        assert "OK" in done.stdout, done.stdout


@dataclass
class Place:
    """A server with its data folder."""

    served: Served
    data: Path

    @property
    def url(self) -> str:
        return self.served.url

    def get(self, query: str = "", **headers: str) -> requests.Response:
        return requests.get(f"{self.url}/obscore{query}", headers=headers, timeout=300)

    def rows(self, **headers: str) -> Table:
        answer = self.get(**headers)
        assert answer.status_code == 200, answer.text
        return read(answer.content, "votable")

    def kept(self, column: str) -> list[Any]:
        """What the database keeps of the rows."""
        engine = sa.create_engine(f"sqlite:///{self.data / 'jobs.sqlite'}")
        with engine.connect() as connection:
            found = list(connection.execute(sa.text(f"SELECT {column} FROM obscore_rows")).scalars())
        engine.dispose()
        return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A server with a definition that gives back the FITS file it was given, and two accounts."""
    folder = tmp_path_factory.mktemp("obscore")
    script = 'mkdir -p results; cat "$UWS_PARAM_table" > results/product.fits\n'
    table = {"name": "table", "type": "file"}
    product = {"name": "result", "file": "*.fits", "mime": "application/fits"}
    define(folder / "definitions", "fits", script, version="2", parameters=[table], results=[product])
    with running_server(folder / "data", definitions=folder / "definitions") as served:
        yield Place(served, folder / "data")


@pytest.fixture(scope="module")
def spectrum(tmp_path_factory: pytest.TempPathFactory) -> Path:
    header = fits.Header({"TELESCOP": "XMM", "INSTRUME": "EPN", "OBS_ID": "0693760101", "OBJECT": "M82",
                          "HDUCLASS": "OGIP", "HDUCLAS1": "SPECTRUM", "DETCHANS": 4096})  # fmt: skip
    path = tmp_path_factory.mktemp("spectrum") / "spectrum.fits"
    columns = [fits.Column("COUNTS", "J", array=np.arange(9))]
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, header)]).writeto(path)
    return path


def made(place: Place, path: Path, **headers: str) -> str:
    """A job that makes that file; its address."""
    with path.open("rb") as stream:
        sent = requests.post(f"{place.url}/rest/fits", files={"table": stream}, headers=headers, allow_redirects=False,
                             timeout=300)  # fmt: skip
    address = sent.headers["Location"]
    requests.post(f"{address}/phase", data={"PHASE": "RUN"}, headers=headers, allow_redirects=False, timeout=300)
    for _ in range(400):
        phase = requests.get(f"{address}/phase?", headers=headers, timeout=300).text
        if phase in ("COMPLETED", "ERROR"):
            break
        requests.get(f"{address}?WAIT=5&PHASE={phase}", headers=headers, timeout=300)
    assert phase == "COMPLETED"
    return address


@pytest.fixture(scope="module")
def job(place: Place, spectrum: Path) -> str:
    return made(place, spectrum)


def file_of(place: Place, job: str) -> Path:
    job_id = job.rpartition("/")[2]
    return place.data / "jobs" / job_id[:2] / job_id / "results" / "product.fits"


def test_a_result_is_a_row(place: Place, job: str) -> None:
    (row,) = [row for row in place.rows() if job.rpartition("/")[2] in row["obs_publisher_did"]]
    path = file_of(place, job)
    tags = votags.read(path)
    assert tags is not None
    found = values(row, row.colnames)
    url = found.pop("access_url")
    assert found.pop("access_estsize") == round(path.stat().st_size / 1000)
    told = {name: value for name, value in tags.row.items() if name not in ("access_url", "access_estsize")}
    assert found == told
    assert (found["instrument_name"], found["analysis_mode"], found["energy_max"]) == ("EPN", "fits 2", 15000.0)
    assert str(url).startswith(f"{place.url}/store/")
    assert requests.get(str(url), timeout=300).content == path.read_bytes()


def test_pyvo_reads_it(place: Place, job: str) -> None:
    """As the result of a DAL query: status, fields, values."""
    result = pyvo.dal.DALQuery(f"{place.url}/obscore").execute()
    assert result.status[0] == "OK"
    assert "obscore:Curation.publisherDID" in [field.utype for field in result.fielddescs]
    assert result.fieldname_with_utype("obscore:Access.reference") == "access_url"
    assert any(job.rpartition("/")[2] in str(row["obs_publisher_did"]) for row in result)
    with pytest.warns(pyvo.dal.exceptions.DALOverflowWarning):
        none = pyvo.dal.DALQuery(f"{place.url}/obscore", maxrec="0").execute()
    assert len(none) == 0
    with pytest.raises(pyvo.dal.DALQueryError, match="MAXREC: 'some' came"):
        pyvo.dal.DALQuery(f"{place.url}/obscore", MAXREC="some").execute()


@pytest.mark.parametrize("query", ["", "?MAXREC=0", "?responseformat=application/x-votable%2Bxml;serialization=x",
                                   "?MAXREC=bad", "?RESPONSEFORMAT=pdf"])  # fmt: skip
def test_votlint_finds_nothing(place: Place, job: str, tmp_path: Path, query: str) -> None:
    program = shutil.which("stilts")
    if program is None:
        pytest.skip("install the Debian package stilts")
    (tmp_path / "table.vot").write_bytes(place.get(query).content)
    command = [program, "votlint", "ucd=true", "unit=true", f"votable={tmp_path / 'table.vot'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (done.stdout + done.stderr).strip() == ""


def test_formats_and_errors(place: Place, job: str) -> None:
    answer = place.get("?RESPONSEFORMAT=text/ecsv")
    assert answer.headers["Content-Type"] == "text/ecsv; charset=UTF-8"
    assert len(read(answer.content, "ecsv")) >= 1
    assert place.get().headers["Content-Type"] == "application/x-votable+xml; charset=UTF-8"
    for query, words in (("?MAXREC=-1", "MAXREC: '-1' came; a whole number from 0 on is allowed"),
                         ("?responseFormat=pdf", "application/json and application/fits are allowed"),
                         ("?POS=CIRCLE+10+20+1", "POS: no such parameter; there are MAXREC, RESPON")):  # fmt: skip
        answer = place.get(query, Accept="text/html")
        assert answer.status_code == 400
        assert answer.headers["Content-Type"] == "application/x-votable+xml"
        assert 'name="QUERY_STATUS" value="ERROR"' in answer.text
        assert words in answer.text
    assert len(place.get("?REQUEST=query&LANG=ADQL&version=1&RUNID=a&share=x").content) > 1000
    posted = requests.post(f"{place.url}/obscore", data={"MAXREC": "0"}, timeout=300)
    assert (posted.status_code, len(read(posted.content, "votable"))) == (200, 0)
    head = requests.head(f"{place.url}/obscore", timeout=300)
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize(
    ("word", "mime", "form"),
    [
        ("csv", "text/csv; charset=UTF-8; header=present", "ascii.csv"),
        ("text/tab-separated-values", "text/tab-separated-values; charset=UTF-8", "ascii.tab"),
        ("FITS", "application/fits", "fits"),
        ("application/json", "application/json", "json"),
    ],
)
def test_each_format_holds_the_same_table(place: Place, job: str, word: str, mime: str, form: str) -> None:
    answer = place.get(f"?RESPONSEFORMAT={word}")
    assert answer.headers["Content-Type"] == mime
    if form == "json":
        document = answer.json()
        names = [column["name"] for column in document["metadata"]]
        found = [{name: value for name, value in zip(names, row, strict=True) if value is not None}
                 for row in document["data"]]  # fmt: skip
    else:
        content = io.BytesIO(answer.content) if form == "fits" else answer.text
        as_text = {} if form == "fits" else {"converters": dict.fromkeys(("obs_id", "proposal_id"), str)}
        written = Table.read(content, format=form, **as_text)
        names = written.colnames
        found = [{name: value for name, value in values(row, names).items() if value == value} for row in written]
    rows = place.rows()
    assert names == rows.colnames
    for ours, expected in zip(found, [values(row, names) for row in rows], strict=True):
        kept = {name: value for name, value in expected.items() if not isinstance(value, str)}
        assert {name: ours[name] for name in kept} == pytest.approx(kept)
        assert {name: str(ours[name]) for name in expected.keys() - kept} == {
            name: expected[name] for name in expected.keys() - kept
        }


def test_pyvo_follows_a_row_to_its_links(place: Place, job: str) -> None:
    found = TAPResults.from_result_url(f"{place.url}/obscore")
    row = next(row for row in found if job.rpartition("/")[2] in str(row["obs_publisher_did"]))
    links = row.getdatalink()
    (this,) = links.bysemantics("#this", include_narrower=False)
    assert str(this.access_url) == row["access_url"]


def test_rows_are_kept_and_files_count(place: Place, spectrum: Path) -> None:
    """Kept when the job ends; read again when the file changes; gone with the file, and with the job."""
    job = made(place, spectrum)
    job_id, path = job.rpartition("/")[2], file_of(place, job)
    assert any(job_id in row for row in place.kept("row"))
    tags = votags.read(path)
    assert tags is not None
    votags.write(path, tags.row.replaced(target_name="M81"), tags.steps)

    def names() -> list[str]:
        return [str(row["target_name"]) for row in place.rows() if job_id in row["obs_publisher_did"]]

    assert names() == ["M81"]
    assert any('"M81"' in row for row in place.kept("row"))
    votags.strip(path)
    assert names() == []
    path.unlink()
    assert names() == []
    before = len(place.kept("result_id"))
    requests.delete(job, allow_redirects=False, timeout=300)
    assert len(place.kept("result_id")) == before - 1


def test_a_table_that_cannot_be_finished_does_not_pass_for_whole(place: Place, spectrum: Path) -> None:
    job = made(place, spectrum)
    mine = f"result_id IN (SELECT id FROM results WHERE job_id = '{job.rpartition('/')[2]}')"
    engine = sa.create_engine(f"sqlite:///{place.data / 'jobs.sqlite'}")
    with engine.begin() as connection:
        assert connection.execute(sa.text(f"UPDATE obscore_rows SET row = '{{' WHERE {mine}")).rowcount == 1
    engine.dispose()
    try:
        answer = place.get()
        assert answer.status_code == 200
        assert '<INFO name="QUERY_STATUS" value="ERROR">' in answer.text
        assert place.get("?RESPONSEFORMAT=ecsv").status_code == 500  # it has no place where to tell it
    finally:
        requests.delete(job, allow_redirects=False, timeout=300)


def test_one_sees_what_one_may(place: Place, spectrum: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tokens = {}
    for name in ("ada", "ben"):
        assert cli.main(["accounts", "add", name, "--data", str(place.data)]) == 0
        tokens[name] = f"Bearer {name}.{capsys.readouterr().out.split()[1]}"
    job_id = made(place, spectrum, Authorization=tokens["ada"]).rpartition("/")[2]

    def seen(**headers: str) -> bool:
        return any(job_id in row["obs_publisher_did"] for row in place.rows(**headers))

    assert seen(Authorization=tokens["ada"])
    assert not seen(Authorization=tokens["ben"])
    assert not seen()
    assert place.get(Authorization="Bearer ada.wrong").status_code == 401


def test_a_file_without_tags_is_no_row(place: Place, tmp_path: Path) -> None:
    """Two VO-TAGS in one file: the job ends well, the table goes on."""
    path = tmp_path / "two.fits"
    fits.PrimaryHDU().writeto(path)
    length = path.stat().st_size
    votags.write(path, obscore.ObsCoreRow(calib_level=1, obs_id="twice"), [Step((Parameter(0, "a", True, 1),))])
    whole = path.read_bytes()
    path.write_bytes(whole + whole[length:])
    before = len(place.rows())
    made(place, path)
    assert len(place.rows()) == before


def test_other_results_are_no_rows(place: Place) -> None:
    assert requests.get(f"{place.url}/rest/fits", timeout=300).status_code == 200
    address = create(place.url, "fits")
    change(f"{address}/phase", PHASE="RUN")
    reached(address, "ERROR", "COMPLETED")
    assert place.get().status_code == 200


# --- the rows that are kept ----------------------------------------------------------------------------------------


def test_who_publishes_and_who_may_have_it_is_told_by_the_configuration(tmp_path: Path, spectrum: Path) -> None:
    folder = tmp_path / "definitions"
    script = 'mkdir -p results; cat "$UWS_PARAM_table" > results/product.fits\n'
    define(folder, "fits", script, parameters=[{"name": "table", "type": "file"}])
    shutil.copytree(ROOT / "job_definitions/spectrum", folder / "spectrum")
    simulate(small(), tmp_path / "archive")
    (events,) = (tmp_path / "archive").glob("*PN*")
    options = ("--archive", str(tmp_path / "archive"))
    with running_server(tmp_path / "data", *options, definitions=folder) as served:
        place = Place(served, tmp_path / "data")
        made(place, spectrum)
        (row,) = place.rows()
        assert not {"publisher_id", "data_rights", "obs_release_date"} & set(values(row, row.colnames))
    told = {"publisher": "ivo://x.org/uws", "data_rights": "public"}
    with running_server(tmp_path / "data", *options, definitions=folder, **told) as served:
        place = Place(served, tmp_path / "data")
        (old,) = place.rows()
        assert (old["publisher_id"], old["data_rights"]) == ("ivo://x.org/uws", "public")
        # the publisher's own name for it stays whatever the address of the server is; both are understood
        result_id = str(old["access_url"]).split("/")[-2]
        assert old["obs_publisher_did"] == f"ivo://x.org/uws?{result_id}"
        for identifier in (old["obs_publisher_did"], row["obs_publisher_did"]):
            links = DatalinkResults.from_result_url(f"{served.url}/datalink?{urlencode({'ID': identifier})}")
            assert [str(link.access_url) for link in links if link.semantics == "#this"] == [old["access_url"]]
        paths = [file_of(place, made(place, spectrum))]
        asked = client.create(f"{served.url}/rest/spectrum", {"eventlist": events.name})
        job = client.follow(asked, lambda state: None)
        paths.append(file_of(place, job.url).with_name("source_spectrum.fits"))
    for path in paths:
        tags = votags.read(path)
        assert tags is not None
        assert (tags.row["publisher_id"], tags.row["data_rights"]) == ("ivo://x.org/uws", "public")
        when = datetime.fromisoformat(f"{tags.row['obs_release_date']}Z")
        assert abs((when - datetime.now(UTC)).total_seconds()) < 300


@pytest.mark.parametrize(("key", "value"), [("data_rights", "Public"), ("publisher", "https://x.org")])
def test_a_publisher_or_rights_that_cannot_be_are_refused(tmp_path: Path, key: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{key} = '{value}'"):
        Services(Config.of(data=tmp_path, **{key: value}), "http://x.org", tmp_path)


@dataclass(frozen=True)
class Reading:
    """The parts of a server that the table is made of."""

    store: JobStore
    rights: Rights
    files: JobFiles
    base_url: str = "http://x.org"
    config: Config = field(default_factory=Config)

    @property
    def archive_files(self) -> ArchiveFiles:
        """Those of a server without an archive."""
        rows, found = ArchiveRows(self.store.engine), ArchiveSearchStore(self.store.engine)
        return ArchiveFiles(rows, Archive(None), ArchiveSearch(found, Exposures(rows, None, Path()), None), None)


def test_rows_on_both_databases(database_url: str) -> None:
    """Kept, replaced, gone with their result; trials and results that are no FITS are left out."""
    store = JobStore(database_url)
    ids = []
    for number in range(4):
        job = Job(new_id(), "d", "1", Phase.PENDING, utcnow(), 60, trial=number == 2)
        store.add(job)
        for phase in (Phase.QUEUED, Phase.EXECUTING):
            assert store.move(job.id, list(Phase), phase)
        found = [Result(new_id(), name, f"results/{name}", mime, 1, "0" * 64) for name, mime in
                 (("a.fits", "application/fits"), ("b", "application/octet-stream"), ("c", "text/plain"))]  # fmt: skip
        assert store.end(job.id, Phase.COMPLETED, utcnow(), None, found)
        ids.append((job.id, [result.id for result in found]))
    jobs, first, second = [job for job, _ in ids], ids[0][1], ids[1][1]
    obscore_rows.keep(store.engine, [KeptRow(first[0], 5, 2**62, "{}"), KeptRow(first[1], 6, 7, '{"a":1}')])
    obscore_rows.keep(store.engine, [KeptRow(first[0], 8, 9, '{"b":2}'), KeptRow(new_id(), 1, 1, "{}")])
    obscore_rows.keep(store.engine, [])
    wanted = [jobs[1], jobs[0], jobs[2]]
    assert [tuple(row) for row in obscore_rows.of_jobs(store.engine, wanted)] == [
        (jobs[1], second[0], "results/a.fits", None, None, None),
        (jobs[0], first[0], "results/a.fits", 8, 9, '{"b":2}'),
        (jobs[0], first[1], "results/b", 6, 7, '{"a":1}'),
    ]
    store.delete(jobs[0])
    with store.engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM obscore_rows")).scalar() == 0
    store.close()


def test_jobs_without_products_are_not_looked_at(database_url: str) -> None:
    """Counted: what the database is asked does not grow with jobs that have nothing for the table."""
    store = JobStore(database_url)
    made: list[str] = []
    for number in range(3):
        job = Job(new_id(), "d", "1", Phase.PENDING, utcnow(), 60, owner="ada" if number == 1 else None)
        store.add(job)
        fits = Result(new_id(), "a", "results/a.fits", "application/fits", 1, "0" * 64)
        assert store.end(job.id, Phase.ABORTED, utcnow(), None, [fits])
        made.insert(0, job.id)
    idle = Job(new_id(), "d", "1", Phase.ABORTED, utcnow(), 60)
    with store.engine.begin() as connection:
        connection.execute(tables.jobs.insert(), [job_row(replace(idle, id=new_id())) for _ in range(2000)])
    everybody, nobody = Caller("root", is_admin=True), Caller()
    for caller, expected in ((everybody, made), (nobody, [made[0], made[2]])):
        with noted(store.engine) as executed:
            needs = Reading(store, rights=Rights(Anonymous.LISTED), files=JobFiles(Path("nowhere")))
            assert list(obscore_service.rows(needs, caller)) == []  # the files do not exist
        found = obscore_rows.jobs_with_products(store.engine, needs.rights.listed_owners(caller))
        assert list(found) == expected
        assert len([text for text in executed if text.lstrip().startswith("SELECT")]) <= 2
    store.archive(made[0])
    assert list(obscore_rows.jobs_with_products(store.engine, None)) == made[1:]
    store.close()


def test_jobs_with_products_come_in_order_over_many_pages(database_url: str) -> None:
    store = JobStore(database_url)
    moments = [utcnow() - timedelta(seconds=number // 3) for number in range(700)]
    rows = [job_row(Job(new_id(), "d", "1", Phase.COMPLETED, moment, 60, owner=None if i % 7 else "ada"))
            for i, moment in enumerate(moments)]  # fmt: skip
    for row in rows:
        row["has_products"] = True
    with store.engine.begin() as connection:
        connection.execute(tables.jobs.insert(), rows)
    ordered = sorted(rows, key=lambda row: (row["created"], row["id"]), reverse=True)
    for owners in (None, (None,), ("ada",), ("ada", None), ()):
        wanted = [row["id"] for row in ordered if owners is None or (row["owner"] or None) in owners]
        assert list(obscore_rows.jobs_with_products(store.engine, owners)) == wanted
    store.close()
