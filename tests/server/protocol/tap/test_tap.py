"""TAP of a real server, as its clients meet it: curl, pyvo, stilts; and what is refused, with a sentence."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvo
import requests
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io.votable import parse
from astropy.table import Table
from lxml import etree
from pyvo.dal.exceptions import DALQueryError

from obscorerows import fill, made_up
from serving import Served, running_server
from uws_server.protocol import cors
from uws_server.services.accounts import Accounts
from uws_server.storage.accounts import AccountStore
from uws_server.storage.jobstore import JobStore

ROWS = 3000
STILTS = pytest.mark.skipif(not shutil.which("stilts"), reason="there is no stilts")
pytestmark = [
    # pyvo leaves answers that it has read open
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    data = tmp_path_factory.mktemp("tap")
    store = JobStore(f"sqlite:///{data / 'jobs.sqlite'}")
    fill(store.engine, ROWS)
    store.close()
    hosts = "127.0.0.1:*"
    with running_server(data, url_schemes="http", url_hosts=hosts, url_private=hosts) as server:
        yield server


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return [row for some in made_up(ROWS) for row in some]


@pytest.fixture
def service(served: Served) -> Iterator[pyvo.dal.TAPService]:
    """The service as pyvo meets it."""
    with requests.Session() as session:
        yield pyvo.dal.TAPService(f"{served.url}/tap", session=session)


def ask(served: Served, query: str, files: Any = None, **more: str) -> requests.Response:
    data = {"LANG": "ADQL", "QUERY": query, **more}
    return requests.post(f"{served.url}/tap/sync", data=data, files=files, timeout=300)


def table(served: Served, query: str, **more: str) -> list[dict[str, str]]:
    answer = ask(served, query, RESPONSEFORMAT="csv", **more)
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text)))


def told(answer: requests.Response) -> str:
    """The sentence of an answer that refuses a query."""
    assert answer.status_code in (400, 413), answer.text[:500]
    assert answer.headers["Content-Type"].startswith("application/x-votable+xml")
    info = parse(io.BytesIO(answer.content)).resources[0].infos[0]
    assert (info.name, info.value) == ("QUERY_STATUS", "ERROR")
    return str(info.content)


# --- queries at once -----------------------------------------------------------------------------------


def test_a_cone_holds_what_astropy_finds_in_the_same_rows(served: Served, rows: list[dict[str, Any]]) -> None:
    sky = SkyCoord([row["s_ra"] for row in rows], [row["s_dec"] for row in rows], unit="deg")
    for ra, dec, radius in ((83.6, 22.0, 5.0), (0.1, -89.0, 8.0), (359.99, 0.0, 4.0), (200.0, 60.0, 0.0)):
        near = sky.separation(SkyCoord(ra, dec, unit="deg")) <= radius * u.deg
        wanted = sorted(rows[at]["uws_place"] for at in np.flatnonzero(near))
        where = f"1 = CONTAINS(POINT('ICRS', s_ra, s_dec), CIRCLE('ICRS', {ra}, {dec}, {radius}))"
        found = table(served, f"SELECT access_url FROM ivoa.obscore WHERE {where}")
        assert sorted(row["access_url"] for row in found) == [f"{served.url}/{place}" for place in wanted]


def test_a_get_and_a_post_answer_alike_and_names_have_any_case(served: Served) -> None:
    query = "SELECT COUNT(*) AS n FROM ivoa.obscore"
    got = requests.get(f"{served.url}/tap/sync", {"lang": "ADQL-2.1", "query": query, "format": "csv"}, timeout=300)
    assert got.text == ask(served, query, RESPONSEFORMAT="text/csv").text == f"n\r\n{ROWS}\r\n"


def test_every_format_of_the_capabilities_is_given(served: Served) -> None:
    capabilities = etree.fromstring(requests.get(f"{served.url}/tap/capabilities", timeout=300).content)
    words = [element.text for element in capabilities.iter("mime") if "arrow" not in element.text]
    sizes = {}
    for word in [each for each in words if "parquet" not in each]:
        answer = ask(served, "SELECT TOP 50 * FROM ivoa.obscore ORDER BY obs_id, s_ra", RESPONSEFORMAT=word)
        assert answer.status_code == 200, word
        assert answer.headers["Content-Type"].replace(" ", "").lower() == word.replace(" ", "").lower()
        kind = next((kind for kind in ("votable", "csv", "fits", "ecsv", "tab", "json") if kind in word), "")
        if kind in ("votable", "fits"):
            sizes[word] = len(Table.read(io.BytesIO(answer.content), format=kind))
        elif kind != "json":
            sizes[word] = answer.text.rstrip().count("\n") - (answer.text.count("\n#") + 1 if "ecsv" in word else 0)
        else:
            sizes[word] = len(answer.json()["data"])
    assert set(sizes.values()) == {50}, sizes


def test_maxrec_cuts_off_and_says_so(served: Served) -> None:
    for word in ("votable/td", "votable/b2"):
        answer = ask(served, "SELECT obs_id FROM ivoa.obscore", MAXREC="7", RESPONSEFORMAT=word)
        document = parse(io.BytesIO(answer.content))
        assert len(document.get_first_table().array) == 7
        assert document.resources[0].infos[-1].value == "OVERFLOW"
        exact = ask(served, "SELECT TOP 7 obs_id FROM ivoa.obscore", MAXREC="7", RESPONSEFORMAT=word)
        assert b"OVERFLOW" not in exact.content
    empty = parse(io.BytesIO(ask(served, "SELECT * FROM ivoa.obscore", MAXREC="0").content))
    assert len(empty.get_first_table().array) == 0
    assert len(empty.get_first_table().fields) > 60


def test_the_columns_say_what_tap_schema_says(served: Served) -> None:
    document = parse(io.BytesIO(ask(served, "SELECT TOP 1 * FROM ivoa.obscore").content))
    for field in document.get_first_table().fields:
        where = f"table_name = 'ivoa.obscore' AND column_name = '{field.name}'"
        (row,) = table(served, f"SELECT * FROM TAP_SCHEMA.columns WHERE {where}")
        stated = (field.datatype, field.arraysize or "", str(field.unit or ""), field.ucd or "", field.utype or "")
        assert stated == (row["datatype"], row["arraysize"], row["unit"], row["ucd"], row["utype"])


@pytest.mark.parametrize(
    ("query", "more", "sentence"),
    [
        ("SELECT * FROM ivoa.obscor", {}, r"line 1, column 15: .*ivoa\.obscor.*did you mean ivoa\.obscore"),
        ("SELECT s_raa FROM ivoa.obscore", {}, r"line 1, column 8: .*did you mean s_ra"),
        ("SELECT * FROM accounts", {}, "accounts"),
        ("SELECT * FROM sqlite_master", {}, "sqlite_master"),
        ("DROP TABLE jobs", {}, "begins with SELECT"),
        ("SELECT 1 FROM ivoa.obscore; SELECT 2 FROM ivoa.obscore", {}, "."),
        ("", {}, "QUERY: nothing came"),
        ("SELECT 'x' FROM ivoa.obscore" + " " * 100_001, {}, "QUERY: 100,029 characters came; at most 100,000"),
        ("SELECT TOP 1 * FROM uws.jobs", {"LANG": "SQL"}, "LANG: 'SQL' came"),
        ("SELECT TOP 1 * FROM uws.jobs", {"REQUEST": "getCapabilities"}, "REQUEST: .*doQuery is allowed"),
        ("SELECT TOP 1 * FROM uws.jobs", {"MAXREC": "-3"}, "MAXREC: '-3' came"),
        ("SELECT TOP 1 * FROM uws.jobs", {"RESPONSEFORMAT": "pdf"}, "RESPONSEFORMAT: 'pdf' came"),
        ("SELECT TOP 1 * FROM uws.jobs", {"UPLOAD": "t1"}, "UPLOAD: 't1' came"),
        ("SELECT TOP 1 * FROM uws.jobs", {"UPLOAD": "t1,param:x"}, "UPLOAD: no file came for t1"),
        ("SELECT TOP 1 * FROM uws.jobs", {"UPLOAD": "t1,http://x.org/x"}, "UPLOAD t1: .*its host is not one"),
        ("SELECT TOP 1 * FROM uws.jobs", {"UPLOAD": "t1,file:///etc/passwd"}, "UPLOAD t1: .*"),
        ("SELECT TOP 1 * FROM uws.jobs", {"UPLOAD": "t1,param:x;T1,param:y"}, "two tables of the name T1"),
        ("SELECT TOP 1 * FROM uws.jobs", {"UPLOAD": "x; DROP TABLE jobs,param:x"}, "UPLOAD"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_in_a_votable(served: Served, query: str, more: dict[str, str], sentence: str) -> None:
    assert re.search(sentence, told(ask(served, query, **more)), re.DOTALL)


def test_a_row_leads_on_to_its_links(served: Served, service: pyvo.dal.TAPService) -> None:
    found = service.search("SELECT TOP 2 * FROM ivoa.obscore")
    assert next(found.iter_adhocservices()).params[0].value == f"{served.url}/datalink"
    assert b"adhoc:service" not in ask(served, "SELECT TOP 2 obs_id FROM ivoa.obscore").content


# --- uploads -------------------------------------------------------------------------------------------


def uploaded(served: Served, name: str, content: bytes, query: str) -> requests.Response:
    files = {"part": (name, content)}
    return ask(served, query, files=files, UPLOAD="mine,param:part", RESPONSEFORMAT="csv")


def test_uploaded_tables_of_every_format_are_joined(served: Served, rows: list[dict[str, Any]], tmp_path: Path) -> None:
    mine = Table({"ra": [rows[5]["s_ra"], 12.0], "dec": [rows[5]["s_dec"], 89.0], "name": ["five", "none"]})
    query = (
        "SELECT m.name, o.obs_title FROM TAP_UPLOAD.mine AS m JOIN ivoa.obscore AS o "
        "ON 1 = CONTAINS(POINT('ICRS', o.s_ra, o.s_dec), CIRCLE('ICRS', m.ra, m.dec, 0.0001))"
    )
    for form, name in (("votable", "t.vot"), ("fits", "t.fits"), ("ascii.csv", "t.csv"), ("ascii.ecsv", "t.ecsv")):
        path = tmp_path / name
        mine.write(path, format=form)
        answer = uploaded(served, name, path.read_bytes(), query)
        assert answer.text == f"name,obs_title\r\nfive,{rows[5]['obs_title']}\r\n", (form, answer.text)


def test_uploads_that_are_no_tables(served: Served) -> None:
    query = "SELECT * FROM TAP_UPLOAD.mine"
    for content, sentence in (
        (b"1,2,3\n4,5,6\n", "UPLOAD mine: the first line .* holds no names"),
        (b"", "empty"),
        (b"a,b\n1,2\n3\n", "line 3 has 1 cell; the first line has 2"),
        (b"SIMPLE  =                    T", "no readable FITS table"),
        (b"<VOTABLE><RESOURCE></VOTABLE>", "no readable VOTable"),
        (b"<VOTABLE><RESOURCE/></VOTABLE>", "no table with FIELDs"),
        (b"\xff\xfe\x00", "neither VOTable, FITS nor CSV"),
    ):
        assert re.search(sentence, told(uploaded(served, "t", content, query))), content


def test_two_files_for_one_uploaded_table_are_refused(served: Served) -> None:
    files = [("t", ("a.csv", b"a\n1\n")), ("t", ("b.csv", b"a\n2\n"))]
    answer = ask(served, "SELECT * FROM TAP_UPLOAD.mine", files, UPLOAD="mine,param:t")
    assert "UPLOAD mine: several files came under the name t" in told(answer)


def test_an_upload_is_fetched_from_a_url_by_the_rules_for_jobs(served: Served, service: pyvo.dal.TAPService) -> None:
    asked = "LANG=ADQL&FORMAT=csv&QUERY=SELECT+TOP+3+obs_id,s_ra+FROM+ivoa.obscore"
    url = f"{served.url}/tap/sync?{asked}"
    query = "SELECT COUNT(*) AS n FROM TAP_UPLOAD.far"
    assert table(served, query, UPLOAD=f"far,{url}") == [{"n": "3"}]
    job = service.submit_job(query)
    requests.post(f"{job.url}/parameters", {"UPLOAD": f"far,{url}"}, timeout=300)
    job.run().wait(timeout=300)
    assert job.fetch_result()["n"].tolist() == [3]
    lost = told(ask(served, query, UPLOAD=f"far,{served.url}/nothing"))
    assert "UPLOAD far" in lost
    assert "404" in lost


def test_a_client_that_quotes_no_boundary_and_says_its_format_twice(served: Served) -> None:
    """As astroquery 0.4.11 sends a table."""
    fields = {"LANG": "ADQL", "FORMAT": "csv", "QUERY": "SELECT * FROM tap_upload.mine", "UPLOAD": "mine,param:mine",
              "PHASE": "RUN", "format": "csv", "tapclient": "aqtappy"}  # fmt: skip
    begin = '--===1===\r\nContent-Disposition: form-data; name="'
    parts = [f'{begin}{name}"\r\n\r\n{text}\r\n' for name, text in fields.items()]
    parts.append(f'{begin}mine"; filename="pytable"\r\nContent-Type: None\r\n\r\n')
    body = "".join(parts) + "a,b\n1,2\n\r\n--===1===--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary====1==="}
    assert requests.post(f"{served.url}/tap/sync", body, headers=headers, timeout=300).text == "a,b\r\n1,2\r\n"
    job = requests.post(f"{served.url}/tap/async", body, headers=headers, timeout=300).url
    while requests.get(f"{job}/phase", timeout=300).text in ("QUEUED", "EXECUTING"):
        requests.get(job, {"WAIT": "60"}, timeout=300)
    assert requests.get(f"{job}/results/result", timeout=300).text == "a,b\r\n1,2\r\n"


def test_an_upload_is_gone_with_its_query(served: Served) -> None:
    assert uploaded(served, "t", b"a\n1\n", "SELECT * FROM TAP_UPLOAD.mine").text == "a\r\n1\r\n"
    assert "mine" in told(ask(served, "SELECT * FROM TAP_UPLOAD.mine"))


def test_a_gigabyte_is_refused_before_it_is_read(served: Served) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x", "Content-Length": str(10**9)}
    answer = requests.post(f"{served.url}/tap/sync", data=iter([b"--x\r\n"]), headers=headers, timeout=300)
    assert answer.status_code in (400, 413)


# --- queries as jobs -----------------------------------------------------------------------------------


def test_pyvo_runs_a_query_as_a_job(served: Served, service: pyvo.dal.TAPService) -> None:
    job = service.submit_job("SELECT TOP 5 obs_id FROM ivoa.obscore", maxrec=3)
    assert job.phase == "PENDING"
    job.run()
    job.wait(timeout=300)
    assert job.phase == "COMPLETED"
    result = job.fetch_result()
    assert len(result) == 3
    assert result.query_status == "OVERFLOW"
    assert job.result_uri == f"{served.url}/tap/async/{job.job_id}/results/result"
    url = job.url
    job.delete()
    assert requests.get(url, timeout=300).status_code == 404


def test_pyvo_uploads_a_table_to_a_job(service: pyvo.dal.TAPService) -> None:
    mine = Table({"ra": [1.0, 2.0], "n": [7, 8]})
    found = service.run_async("SELECT n FROM TAP_UPLOAD.mine WHERE ra > 1.5", uploads={"mine": mine})
    assert found["n"].tolist() == [8]


def test_a_job_that_fails_says_why_in_a_votable(service: pyvo.dal.TAPService) -> None:
    job = service.submit_job("SELECT nothing FROM ivoa.obscore")
    job.run().wait(timeout=300)
    assert job.phase == "ERROR"
    answer = requests.get(f"{job.url}/error", timeout=300)
    assert b'value="ERROR"' in answer.content
    assert b"line 1, column 8" in answer.content
    with pytest.raises(DALQueryError, match="line 1, column 8"):
        job.raise_if_error()


def test_a_job_ends_at_its_limit_and_when_it_is_aborted(served: Served) -> None:
    endless = (
        "SELECT COUNT(*) FROM ivoa.obscore AS a, ivoa.obscore AS b, ivoa.obscore AS c WHERE a.s_ra + b.s_ra < c.s_ra"
    )
    data = {"LANG": "ADQL", "QUERY": endless, "PHASE": "RUN", "EXECUTIONDURATION": "1"}
    url = requests.post(f"{served.url}/tap/async", data, timeout=300).url
    ended = requests.get(url, {"WAIT": "60", "PHASE": "EXECUTING"}, timeout=300)
    while "<uws:phase>EXECUTING" in ended.text or "<uws:phase>QUEUED" in ended.text:
        ended = requests.get(url, {"WAIT": "60"}, timeout=300)
    assert "<uws:phase>ABORTED" in ended.text
    assert "limit of 1 s" in ended.text
    data["EXECUTIONDURATION"] = "3000"
    url = requests.post(f"{served.url}/tap/async", data, timeout=300).url
    requests.post(f"{url}/phase", {"PHASE": "ABORT"}, timeout=300)
    assert requests.get(f"{url}/phase", timeout=300).text == "ABORTED"


def test_the_list_of_jobs_leads_to_the_jobs(served: Served) -> None:
    data = {"LANG": "ADQL", "QUERY": "SELECT TOP 1 * FROM uws.jobs", "RUNID": "mine"}
    made = requests.post(f"{served.url}/tap/async", data, timeout=300)
    listed = requests.get(f"{served.url}/tap/async", {"PHASE": "PENDING"}, timeout=300)
    href = f'xlink:href="{made.url}"'
    assert made.url.startswith(f"{served.url}/tap/async/")
    assert href in listed.text
    assert "<uws:runId>mine" in listed.text
    requests.post(f"{made.url}/parameters", {"RUNID": "other", "MAXREC": "5"}, timeout=300)
    changed = requests.get(made.url, timeout=300).text
    assert "<uws:runId>other" in changed
    assert '<uws:parameter id="MAXREC">5' in changed


# --- what there is -------------------------------------------------------------------------------------


def test_tables_are_those_of_tap_schema(served: Served) -> None:
    document = etree.fromstring(requests.get(f"{served.url}/tap/tables", timeout=300).content)
    named = {
        (each.findtext("name"), column.findtext("name")) for each in document.iter("table")
        for column in each.iter("column")
    }  # fmt: skip
    stored = {(row["table_name"], row["column_name"]) for row in table(served, "SELECT * FROM TAP_SCHEMA.columns")}
    assert named == stored
    brief = etree.fromstring(requests.get(f"{served.url}/tap/tables?detail=min", timeout=300).content)
    assert len(list(brief.iter("table"))) == len({name for name, _ in stored})
    assert not list(brief.iter("column"))
    one = etree.fromstring(requests.get(f"{served.url}/tap/tables/ivoa.obscore", timeout=300).content)
    assert one.findtext("name") == "ivoa.obscore"
    assert requests.get(f"{served.url}/tap/tables/ivoa.nothing", timeout=300).status_code == 404


def test_every_example_is_a_query(service: pyvo.dal.TAPService) -> None:
    examples = service.examples
    assert len(examples) >= 4
    for example in examples:
        example.execute()


def test_methods_that_an_address_does_not_have(served: Served) -> None:
    answer = requests.delete(f"{served.url}/tap/tables", timeout=300)
    assert (answer.status_code, "GET" in answer.headers["Allow"]) == (405, True)
    assert requests.get(f"{served.url}/tap/nothing", timeout=300).status_code == 404
    assert requests.get(f"{served.url}/tap", timeout=300).status_code == 404


# --- other people's programs -----------------------------------------------------------------------------


@STILTS
def test_taplint_finds_nothing_in_any_stage(served: Served) -> None:
    command = ["stilts", "-Xmx300m", "taplint", f"tapurl={served.url}/tap"]
    report = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300).stdout
    found = [line for line in report.splitlines() if line[:2] in ("E-", "W-", "F-")]
    # it writes the smallest number as its own null into the table that it uploads, then misses the number
    own = re.compile(r"E-UPL-TMCD-\d Upload result value mismatch for column d_(short|int|long).* in row 22")
    # its stage of planned observations (ObsLocTAP) looks for that table whatever the capabilities say: there is no plan
    absent = "F-LOC-NOTP-1 No table with name ivoa.obsplan"
    assert [line for line in found if not own.match(line) and line != absent] == []
    assert "Totals:" in report


@STILTS
def test_stilts_asks_at_once_and_by_a_job(served: Served, tmp_path: Path) -> None:
    mine = tmp_path / "mine.csv"
    mine.write_text("obs_id\n0000000003\n")
    query = (
        "SELECT o.s_ra FROM ivoa.obscore AS o JOIN TAP_UPLOAD.mine AS m ON m.obs_id = 3 WHERE o.obs_id = '0000000003'"
    )
    for sync in ("true", "false"):
        command = ["stilts", "-Xmx300m", "tapquery", f"tapurl={served.url}/tap", f"sync={sync}", f"adql={query}",
                   "nupload=1", f"upload1={mine}", "ufmt1=csv", "upname1=mine", "ofmt=csv"]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.stdout.count("\n") == 21, done.stderr


# --- beside the other jobs -----------------------------------------------------------------------------


def test_the_pages_and_resources_of_a_job_are_there_for_a_query(served: Served) -> None:
    data = {"LANG": "ADQL", "QUERY": "SELECT TOP 3 * FROM ivoa.obscore", "PHASE": "RUN"}
    url = requests.post(f"{served.url}/tap/async", data, timeout=300).url
    requests.get(url, {"WAIT": "60", "PHASE": "EXECUTING"}, timeout=300)
    number = url.rpartition("/")[2]
    for path in (
        f"/jobs/{number}", "/?definition=tap", f"/rest/tap/{number}", f"/datalink?ID={number}", f"/provsap?ID={number}",
        "/jdl/tap", "/jdl/tap/json", "/new/tap",
    ):  # fmt: skip
        assert requests.get(f"{served.url}{path}", timeout=300).status_code == 200, path
    again = requests.post(f"{served.url}/rest/tap/{number}/rerun", {"PHASE": "RUN"}, timeout=300)
    assert again.url.startswith(f"{served.url}/tap/async/")
    listed = requests.get(f"{served.url}/jdl", headers={"Accept": "application/json"}, timeout=300).text
    assert '"tap"' not in listed


def test_a_server_that_is_killed_leaves_its_queries_to_the_next_one(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    store = JobStore(f"sqlite:///{data / 'jobs.sqlite'}")
    fill(store.engine, 170)
    store.close()
    tables = ", ".join(f"ivoa.obscore AS {name}" for name in "abc")
    query = f"SELECT COUNT(*) AS n FROM {tables} WHERE a.s_ra < b.s_ra + c.s_ra"
    with running_server(data) as first:
        form = {"LANG": "ADQL", "QUERY": query, "PHASE": "RUN", "RESPONSEFORMAT": "csv"}
        made = requests.post(f"{first.url}/tap/async", form, allow_redirects=False, timeout=300)
        path = made.headers["Location"].removeprefix(first.url)
        while requests.get(f"{first.url}{path}/phase", timeout=300).text == "QUEUED":
            pass
        first.kill()
    with running_server(data) as second:
        phase = "EXECUTING"
        while phase in ("EXECUTING", "QUEUED"):
            requests.get(f"{second.url}{path}", {"WAIT": "60", "PHASE": phase}, timeout=300)
            phase = requests.get(f"{second.url}{path}/phase", timeout=300).text
        assert phase == "COMPLETED"
        rows = requests.get(f"{second.url}{path}/results/result", timeout=300).text
    assert int(rows.split()[1]) > 0


# --- accounts ------------------------------------------------------------------------------------------


def test_who_has_no_account_is_challenged_and_nobody_sees_the_jobs_of_others(tmp_path: Path) -> None:
    store = JobStore(f"sqlite:///{tmp_path / 'jobs.sqlite'}")
    accounts = Accounts(AccountStore(store.engine))
    tokens = {name: (name, accounts.create(name)) for name in ("ann", "bob")}
    store.close()
    form = {"LANG": "ADQL", "QUERY": "SELECT owner, definition FROM uws.jobs", "RESPONSEFORMAT": "csv", "PHASE": "RUN"}
    with running_server(tmp_path, anonymous="refused") as served:
        for path in ("sync", "tables", "async"):
            refused = requests.get(f"{served.url}/tap/{path}", form if path == "sync" else {}, timeout=300)
            assert refused.status_code == 401
            assert "Basic" in refused.headers["WWW-Authenticate"]
        assert requests.get(f"{served.url}/tap/capabilities", timeout=300).status_code == 200
        job = requests.post(f"{served.url}/tap/async", form, auth=tokens["ann"], timeout=300).url
        while requests.get(f"{job}/phase", auth=tokens["ann"], timeout=300).text != "COMPLETED":
            requests.get(job, {"WAIT": "60"}, auth=tokens["ann"], timeout=300)
        assert requests.get(f"{job}/results/result", auth=tokens["ann"], timeout=300).text.split() == [
            "owner,definition", "ann,tap"
        ]  # fmt: skip
        assert requests.get(f"{job}/results/result", auth=tokens["bob"], timeout=300).status_code == 403
        for name, rows in (("ann", ["ann,tap"]), ("bob", [])):
            found = requests.post(f"{served.url}/tap/sync", form, auth=tokens[name], timeout=300)
            assert found.text.split()[1:] == rows
            assert found.headers["X-VO-Authenticated"] == name


def test_a_page_of_another_origin_reads_answers_of_a_public_server_only() -> None:
    for path in ("/tap/sync", "/tap/tables", "/tap/tables/ivoa.obscore", "/tap/capabilities", "/tap/examples"):
        assert ("Access-Control-Allow-Origin", "*") in cors.headers("GET", path, True)
        assert cors.headers("GET", path, False) == ()
    for path in ("/tap/async", "/tap/async/x", "/tap/async/x/results/result"):
        assert cors.headers("GET", path, True) == ()
