"""Anything may come over HTTP: no answer is a 500, none hangs, and no job changes that should not.

Requests go over a raw socket, so that nothing sets them right on the way. UWS_SOAK=1 goes on for longer.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

import pytest
import requests
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from serving import connected, running_server
from uwsjobs import change, create, listed, reached, write_definitions

SOAK = bool(os.environ.get("UWS_SOAK"))
EXAMPLES = 6_000 if SOAK else 250
BUDGET_S = 300.0 if SOAK else 6.0
"""Seconds that each test may take: what comes after is not sent."""
PATIENCE_S = 300.0
SECRET = "nobody else may read this"

fuzzing = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@dataclass
class Target:
    """A server under fire: an owned job that must stay as it is, and jobs of nobody that come and go."""

    url: str
    log: Path
    owner: tuple[str, str]
    owned: str
    before: tuple[bytes, ...]
    ended: str
    author: tuple[str, str] = ("", "")
    kept: tuple[bytes, ...] = ()
    made: set[str] = field(default_factory=set)
    _pending: str = ""

    @property
    def pending(self) -> str:
        """A job of nobody that is still PENDING."""
        if not self._pending or requests.get(f"{self._pending}/phase", timeout=PATIENCE_S).text != "PENDING":
            self._pending = create(self.url, "files", Note="as it was")
            self.made.add(self._pending)
        return self._pending

    def definitions(self) -> tuple[bytes, ...]:
        """What is live, and the draft that nobody else may change."""
        kept = requests.get(f"{self.url}/definitions/kept/draft/json", auth=self.owner, timeout=PATIENCE_S)
        return requests.get(f"{self.url}/jdl", timeout=PATIENCE_S).content, kept.content

    def state(self) -> tuple[bytes, ...]:
        """What its owner sees of the owned job."""
        paths = ("", "/parameters", "/parameters/text", "/results/result", "/results/log", "/stdout")
        return tuple(requests.get(self.owned + path, auth=self.owner, timeout=PATIENCE_S).content for path in paths)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    data = tmp_path_factory.mktemp("fuzz")
    definitions = write_definitions(tmp_path_factory.mktemp("definitions"))
    with running_server(data, definitions=definitions, max_upload="2 MB", max_running=2) as served:
        account = [sys.executable, "-m", "uws_server", "accounts", "add", "ann", "--admin", "--data", str(data)]
        name, token = subprocess.run(account, capture_output=True, text=True, check=True, timeout=300).stdout.split()
        owner = (name, token)
        account[5:7] = ["ben", "--role", "author"]
        said = subprocess.run(account, capture_output=True, text=True, check=True, timeout=300).stdout.split()
        form = {"text": SECRET, "PHASE": "RUN"}
        made = requests.post(f"{served.url}/rest/dummy", data=form, auth=owner, allow_redirects=False, timeout=300)
        owned = made.headers["Location"]
        ended = create(served.url, text="of nobody", PHASE="RUN")
        reached(ended, "COMPLETED")
        while requests.get(f"{owned}/phase", auth=owner, timeout=300).text != "COMPLETED":
            time.sleep(0.05)
        found = Target(served.url, served.log, owner, owned, (), ended)
        found.before = found.state()
        assert SECRET.encode() in found.before[3]
        found.author = (said[0], said[1])
        session, form = signed_in(found.url, owner)
        form |= {"name": "kept", "version": "1", "title": SECRET, "_do": "save", "control.cpus": "1"}
        form |= {"entry.type": "shell", "entry.script": "run.sh", "script": "true"}
        assert session.post(f"{found.url}/definitions/_new", data=form, allow_redirects=False).status_code == 303
        found.kept = found.definitions()
        assert b"kept" in found.kept[1]
        yield found
        for definition in ("dummy", "files", "table", "tree", "loud"):  # what runs would outlive the server
            for job in listed(served.url, "", definition):
                requests.delete(job, auth=owner, allow_redirects=False, timeout=300)


def signed_in(url: str, account: tuple[str, str]) -> tuple[requests.Session, dict[str, str]]:
    """A session of an author's browser, and the hidden field of its forms."""
    session = requests.Session()
    session.auth = account
    page = session.get(f"{url}/definitions/_new", timeout=300).text
    return session, {"_token": page.partition('name="_token" value="')[2].partition('"')[0]}


class Budget:
    """Ends a test in time, however slow the machine is."""

    def __init__(self) -> None:
        self._until = time.monotonic() + BUDGET_S

    def spent(self) -> bool:
        return time.monotonic() > self._until


@pytest.fixture
def budget() -> Budget:
    return Budget()


def send(server: str, request: bytes, is_whole: bool = True) -> tuple[int, bytes]:
    """Send bytes; the status and all that came back. 0: the server hung up, which it may if the request was broken."""
    answer = b""
    with connected(server, PATIENCE_S) as connection:
        started = time.monotonic()
        try:
            connection.sendall(request)
            if not is_whole:
                connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(1 << 16):
                answer += piece
                assert time.monotonic() - started < PATIENCE_S, f"still coming after {PATIENCE_S} s: {request[:300]!r}"
        except TimeoutError:
            raise AssertionError(f"no answer in {PATIENCE_S} s to {request[:300]!r}") from None
        except OSError:  # it hung up while the rest was sent
            pass
    final = answer
    while final.startswith(b"HTTP/1.1 100"):
        final = final.partition(b"\r\n\r\n")[2]
    return (int(final[9:12]) if final.startswith(b"HTTP/1.1 ") else 0), final


def check(
    target: Target, request: bytes, is_whole: bool = True, is_author: bool = False, right: int | None = None
) -> int:
    """Send a request of nobody, or of an author; what must hold for every one of them.

    `right` is a status from 500 on that this kind of request may get.
    """
    status, answer = send(target.url, request, is_whole)
    assert status < 500 or status == right, f"{answer[:500]!r} came for {request[:1000]!r}"
    assert status or not is_whole, f"the server hung up on {request[:1000]!r}"
    assert is_author or SECRET.encode() not in answer
    assert b"Traceback" not in answer
    location = answer.partition(b"\r\n\r\n")[0].lower().partition(b"\r\nlocation: ")[2].partition(b"\r\n")[0]
    if status == 303 and b"/rest/" in location:
        target.made.add(location.decode("latin-1").partition("/sync")[0])
    return status


# --- what is sent --------------------------------------------------------------------------------------

ROUTES = [
    "/", "/availability", "/capabilities", "/login", "/jobs", "/jobs/state", "/static/uws.xsl", "/static/../x",
    "/new/dummy", "/new/files", "/new/dummy/test", "/jobs/{id}", "/jobs/{id}/state", "/jobs/{id}/all.tar",
    "/jobs/{id}/run", "/jobs/{id}/delete", "/jobs/{id}/share", "/jobs/{id}/preview/result.svg",
    "/jobs/{id}/preview/log.json", "/jobs/{id}/thumbnail/result.svg", "/store/{id}/result.txt", "/rest/dummy",
    "/rest/files", "/rest/nothing", "/rest/dummy/sync", "/rest/dummy/{id}", "/rest/dummy/{id}/sync",
    *(f"/rest/dummy/{{id}}/{name}" for name in (
        "phase", "executionduration", "destruction", "quote", "owner", "error", "parameters", "parameters/text",
        "parameters/none", "results", "results/result", "results/log", "results/none", "stdout", "stderr",
        "rerun", "rerun/sync", "provjson", "provxml", "provn", "provsvg", "parameters/text/1")),
    "/jdl", "/jdl/schema.json", "/jdl/dummy", "/jdl/nothing", *(f"/jdl/spectrum/{name}" for name in (
        "json", "wadl", "votable", "par", "script", "readme", "none")),
    "/definitions", "/definitions/_new", "/definitions/dummy", "/definitions/dummy/diff", "/definitions/kept/edit",
    *(f"/definitions/dummy/{name}" for name in ("edit", "preview", "draft", "restore", "remove", "draft/json")),
    "/definitions/dummy/versions/" + "0" * 64, "/rerun", "/reprocessing", "/reprocessing/{id}",
    "/reprocessing/{id}/status", "/reprocessing/{id}/preview", "/datalink", "/provsap", "/obscore",
    "/jobs/{id}/provenance", "/jobs/{id}/compare/{id}", "/jobs/{id}/compare/{id}/result.svg",
]  # fmt: skip
METHODS = ["HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND", "get", "Wait"]
NAMES = [
    "PHASE", "phase", "ACTION", "RUNID", "EXECUTIONDURATION", "DESTRUCTION", "UPLOAD", "AFTER", "LAST", "WAIT",
    "RESPONSEFORMAT", "share", "text", "TEXT", "seconds", "fail", "table", "Note", "page", "definition", "_token", "v",
    "ID", "id", "DEPTH", "DIRECTION", "MODEL", "MEMBERS", "MAXREC", "job", "before", "after", "said", "revision",
    "_why", "from", "target", "accept_changed", "provenance", "file", "0.text", "_do", "_job", "_from",
]  # fmt: skip
VALUES = [
    "RUN", "ABORT", "HOLD", "SUSPEND", "RESUME", "DELETE", "COMPLETED", "param:x", "param:", "table,param:part", ";;,",
    "0", "1", "-1", "1e400", "nan", "inf", "0x10", "1 keV", "9999-12-31T23:59:59.999999", "0001-01-01", "2015",
    "2026-02-30", "votable", "application/x-votable+xml", "\x00", "\r\n", "\ufffe", "x" * 5000, "9" * 400, "../../x",
    "<a>&]]>", "%", "%zz", "true", "ALL", "BACK", "FORWARD", "W3C", "PROV-XML", "PROV-N", "ecsv", "run", "yes",
    "9" * 64, "0" * 64, "0" * 32, "urn:uws-server:" + "0" * 32 + ":x",
    "http://x/rest/dummy/" + "0" * 32 + "/results/result",
    '{"provenance": []}', "[" * 3000, '{"provenance": [{"args": [], "task": "dummy"}], "parameters": {"text": "x"}}',
]  # fmt: skip


def mostly(common: st.SearchStrategy[Any], rare: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Five in six times the first: what is odd in every part is refused before it gets anywhere."""
    return st.integers(0, 5).flatmap(lambda number: common if number else rare)


methods = mostly(st.sampled_from(["GET", "GET", "POST"]), st.sampled_from(METHODS))
names = mostly(st.sampled_from(NAMES), st.text(max_size=12))
values = mostly(st.sampled_from(VALUES), st.text(max_size=40) | st.integers().map(str))
# whole forms that go through, and what hypothesis makes of their parts
usual = st.sampled_from([
    [], [], [("PHASE", "RUN")], [("text", "x"), ("PHASE", "RUN")], [("seconds", "0")], [("Note", "n")], [("LAST", "3")],
    [("PHASE", "COMPLETED"), ("LAST", "1")], [("AFTER", "2015")], [("ACTION", "DELETE")], [("PHASE", "ABORT")],
    [("DESTRUCTION", "2999")], [("EXECUTIONDURATION", "9")], [("WAIT", "-1")], [("RESPONSEFORMAT", "votable")],
])  # fmt: skip
fields = usual | st.lists(st.tuples(names, values), max_size=3)
junk = st.binary(max_size=60)
line = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=40)

header = st.one_of(
    st.tuples(st.just("Accept"), st.sampled_from(["text/html", "application/x-votable+xml", ",;q=", "*/*;q=x"]) | line),
    st.tuples(st.just("Range"), st.sampled_from(["bytes=0-", "bytes=-1", "bytes=9-1", "bytes=0-1,2-3"]) | line),
    st.tuples(st.sampled_from(["If-None-Match", "If-Modified-Since", "If-Range", "Cookie", "Referer", "Origin"]), line),
    st.tuples(st.just("Authorization"), st.sampled_from(["Basic Og==", "Basic !", "Bearer ", "Bearer a.b"]) | line),
    st.tuples(st.sampled_from(["X-Forwarded-For", "X-Forwarded-Proto", "X-Park", "X_Park", "Forwarded"]), line),
    st.tuples(st.just("Sec-Fetch-Site"), st.sampled_from(["cross-site", "same-origin", "none"])),
    st.tuples(st.just("Content-Disposition"), st.sampled_from(["attachment; filename=../x", 'x; filename="']) | line),
    st.tuples(st.just("Expect"), st.just("100-continue")),
    st.tuples(st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,20}", fullmatch=True), line),
).filter(lambda pair: pair[0].lower() not in ("content-length", "transfer-encoding", "connection", "upgrade", "host"))


def urlencoded(pairs: Sequence[tuple[str, str]]) -> bytes:
    return "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs).encode()


@st.composite
def multipart(draw: st.DrawFn) -> tuple[str, bytes]:
    """A multipart body, whole or not, and its Content-Type."""
    boundary = draw(st.sampled_from(["b", "----x", "a b", "'()+_,-./:=?"]))
    pieces = []
    for name, value in draw(st.lists(st.tuples(names, st.one_of(values.map(str.encode), junk)), max_size=4)):
        plain = name.encode("utf-8", "replace").replace(b'"', b"%22").replace(b"\r", b"").replace(b"\n", b"")
        disposition = b'Content-Disposition: form-data; name="%s"' % plain
        disposition += draw(st.sampled_from([b"", b'; filename="f"', b'; filename="../../f"', b'; filename=""', b";;"]))
        extra = draw(st.sampled_from([b"", b"\r\nContent-Type: text/plain", b"\r\nContent-Length: 3", b"\r\nX"]))
        pieces.append(disposition + extra + b"\r\n\r\n" + value)
    mark = b"--" + boundary.encode()
    body = b"".join(mark + b"\r\n" + piece + b"\r\n" for piece in pieces) + mark + b"--\r\n"
    body = draw(st.sampled_from([b"", b"\r\n", b"preamble\r\n"])) + body
    cut = draw(mostly(st.just(len(body)), st.integers(0, len(body))))
    kind = f'multipart/form-data; boundary="{boundary}"'
    return draw(
        mostly(st.just(kind), st.sampled_from(["multipart/form-data", "multipart/form-data; boundary="]))
    ), body[:cut]


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, bytes]:
    """A Content-Type and a body that may go with it."""
    form = "application/x-www-form-urlencoded"
    good = st.one_of(st.just(("", b"")), fields.map(lambda pairs: (form, urlencoded(pairs))), multipart())
    large = st.sampled_from([(form, b"&" * 12_000), (form, b"text=" + b"%41" * 5000), ("", b"x" * 2_100_000)])
    return draw(mostly(good, st.one_of(junk.map(lambda data: (form, data)), st.tuples(line, junk), large)))


@st.composite
def targets(draw: st.DrawFn) -> str:
    """The target of a request, with {id} where an id comes."""
    words = st.lists(st.text(max_size=8), max_size=4).map("/".join)
    path = draw(mostly(st.sampled_from(ROUTES), words))
    if path not in ROUTES:
        path = "/" + quote(path, safe=draw(st.sampled_from(["", "/", "/;:@!$&'()*+,=~."])))
    path += draw(mostly(st.just(""), st.sampled_from(["/", "//", "/x", "%00", "%2f..", "%ff", "%", ";a=b", "/.."])))
    odd = ["?", "&&=&", "%ff=%fe", "a=%zz", "=", "é=é"]
    query = draw(mostly(fields.map(lambda pairs: urlencoded(pairs).decode()), st.sampled_from(odd)))
    return path + (f"?{query}" if query else "")


def request_of(
    method: str, where: str, headers: Sequence[tuple[str, str]], body: tuple[str, bytes], is_chunked: bool = False
) -> bytes:
    """The bytes of a request that is framed as it should be."""
    kind, content = body
    lines = [f"{method} {where} HTTP/1.1", "Host: x", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers]
    if kind:
        lines.append(f"Content-Type: {kind}")
    if is_chunked:
        lines.append("Transfer-Encoding: chunked")
        pieces = [content[start : start + 11] for start in range(0, min(len(content), 2000), 11)]
        content = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces, b""])
    elif content:
        lines.append(f"Content-Length: {len(content)}")
    return "\r\n".join(lines).encode("utf-8", "replace") + b"\r\n\r\n" + content


# --- tests -----------------------------------------------------------------------------------------------


@fuzzing
@given(
    methods, targets(), st.sampled_from(["owned", "ended", "none"]), st.lists(header, max_size=4),
    bodies(), st.booleans(),
)  # fmt: skip
@example("GET", "/rest/dummy?AFTER=9999-12-31T23:59:59.999999", "none", [], ("", b""), False)
@example("GET", "/%01x?RESPONSEFORMAT=votable", "none", [], ("", b""), False)
@example("HEAD", "/rest/dummy/sync?text=x", "none", [], ("", b""), False)
@example("DELETE", "/rest/dummy/{id}", "owned", [], ("", b""), False)
@example("GET", "/rest/dummy/{id}?WAIT=-1", "owned", [("X-Park", "5 PENDING")], ("", b""), False)
def test_any_request_is_answered_and_an_owned_job_stays_as_it_is(
    target: Target,
    budget: Budget,
    method: str,
    where: str,
    whose: str,
    headers: list[tuple[str, str]],
    body: tuple[str, bytes],
    is_chunked: bool,
) -> None:
    if budget.spent():
        return
    job = {"owned": target.owned, "ended": target.ended, "none": "0" * 32}[whose]
    check(target, request_of(method, where.replace("{id}", job[-32:]), headers, body, is_chunked))
    if whose == "owned":
        assert target.state() == target.before
    elif whose == "ended" and requests.get(job, timeout=PATIENCE_S).status_code == 404:
        target.ended = create(target.url, PHASE="RUN")  # it was deleted, as it may be
        reached(target.ended, "COMPLETED")


@fuzzing
@given(
    st.sampled_from(["POST", "PUT"]),
    st.sampled_from(["", "/parameters", "/parameters/table", "/parameters/NOTE", "/phase", "/destruction", "/x"]),
    fields,
    multipart() | bodies(),
    st.booleans(),
)
@example("POST", "", [("EXECUTIONDURATION", "5"), ("Note", "a"), ("Note", "b")], ("", b""), False)
def test_what_is_refused_changes_nothing(
    target: Target,
    budget: Budget,
    method: str,
    path: str,
    asked: list[tuple[str, str]],
    body: tuple[str, bytes],
    is_chunked: bool,
) -> None:
    if budget.spent():
        return
    job = target.pending
    before = requests.get(job, timeout=PATIENCE_S).content
    query = urlencoded(asked).decode()
    where = urlsplit(job).path + path + (f"?{query}" if query else "")
    status = check(target, request_of(method, where, [], body, is_chunked))
    assert status in (303, 400, 403, 404, 405, 409, 413, 415)
    if status != 303:
        assert requests.get(job, timeout=PATIENCE_S).content == before


LEAVES: list[Any] = [
    "", "x", "dummy", "\ud800", "\0", "../" * 30 + "etc/passwd", "result.txt", "0" * 32, "9" * 400, "param:table", None,
    True, -1, 2**70, 1e300, [], {}, [1, "x"], {"a": {}}, "text", "seconds", "é" * 500, "1.0",
]  # fmt: skip
leaves = st.sampled_from(LEAVES) | st.text(max_size=10)


@st.composite
def arguments(draw: st.DrawFn, number: int) -> dict[str, Any]:
    """An argument of a step, mostly sound."""
    kind = draw(st.sampled_from(["parameter", "inputdata", "outputdata"]))
    about: dict[str, Any] = {"description": draw(mostly(st.just(""), leaves)), "editable": draw(st.booleans())}
    if kind == "parameter":
        about["value"] = draw(leaves)
    else:
        about |= {"location": draw(mostly(st.just(""), leaves)), "path": draw(mostly(st.just("result.txt"), leaves))}
    for key in draw(st.sets(st.sampled_from(["name", "sha256", "science_sha256", "unit", "more"]))):
        about[key] = draw(mostly(st.just("text"), leaves))
    return {"index": number, kind: about}


@st.composite
def documents(draw: st.DrawFn) -> Any:
    """What /reprocessing reads, mostly sound."""
    listed = []
    for _ in range(draw(st.integers(0, 3))):
        args = [draw(arguments(number)) for number in range(draw(st.integers(0, 3)))]
        each: dict[str, Any] = {"args": args, "task": draw(mostly(st.just("dummy"), leaves))}
        for key in draw(st.sets(st.sampled_from(["job", "version", "parent", "started", "host", "exit_status"]))):
            each[key] = draw(leaves)
        listed.append(each)
    document: dict[str, Any] = {"provenance": listed}
    for key in draw(st.sets(st.sampled_from(["parameters", "target", "from", "accept_changed", "PHASE", "RUNID"]))):
        document[key] = draw(mostly(st.just({"text": "x"}) if key == "parameters" else st.just("0"), leaves))
    return draw(mostly(st.just(document), leaves))


@fuzzing
@given(documents(), st.sampled_from([None, None, "multipart", "form"]))
@example({"provenance": [{"task": "dummy", "args": [
    {"index": 0, "parameter": {"description": "", "editable": True, "value": "", "name": []}}]}]}, None)  # fmt: skip
def test_any_step_list_is_answered(target: Target, budget: Budget, document: Any, how: str | None) -> None:
    if budget.spent():
        return
    text = json.dumps(document).encode()
    body = ("application/json", text)
    if how == "form":
        body = ("application/x-www-form-urlencoded", urlencoded([("provenance", text.decode())]))
    elif how == "multipart":
        part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n' + text + b"\r\n--b--\r\n"
        body = ("multipart/form-data; boundary=b", part)
    check(target, request_of("POST", "/reprocessing", [], body))
    assert not list((target.log.parent / "incoming").glob("upload-*"))


TYPED = [
    "name", "version", "title", "description", "documentation", "contact.email", "roles", "entry.type", "entry.script",
    "entry.function", "script", "readme", "control.cpus", "control.memory", "control.duration.max", "_edit", "_base",
    "_checked", "_why", "_why.request", "_document", "revision",
    *(f"parameters[{number}].{name}" for number in (0, 1, 99999) for name in (
        "name", "type", "default", "test", "max_values", "options", "pattern", "min", "url", "max_length")),
    "results[0].name", "results[0].file", "results[0].mime", "results[00000].name", "before", "after",
]  # fmt: skip
BUTTONS = ["save", "check", "try", "request", "import", "take", "withdraw", "discard", "accept", "refuse", "", "x"]
BUTTONS += ["save.over.1", "parameters.add.file", "parameters.remove.0", "results.up.1", "parameters.down.99999"]
TEXTS = ["boolean", "integer", "file", "eventlist", "simulated:pn", "simulated:x", "a\nb", "echo", "if", "(a+)+$"]
TEXTS += ['{"job.json": "\\ud800"}', "[]", "{", "x" * 300, "9" * 12, "-9", "1 GiB", "http://x/$ID", "text/plain"]
TEXTS += ["python", "shell", "(", "*"]
PLACES = ["_new", "_new", "mine", "mine", "kept", "dummy", "nothing", "x" * 65, "%00", "%ff"]
TAILS = ["", "/edit", "/edit", "/preview", "/draft", "/restore", "/remove", "/draft/wadl", "/draft/votable", "/diff"]


@fuzzing
@given(
    methods, st.sampled_from(PLACES), st.sampled_from(TAILS), st.sampled_from(BUTTONS),
    st.lists(st.tuples(st.sampled_from(TYPED), st.sampled_from(TEXTS) | values), max_size=4), st.booleans(),
)  # fmt: skip
def test_anything_that_an_author_types_is_answered_and_nothing_goes_live(
    target: Target,
    budget: Budget,
    method: str,
    name: str,
    tail: str,
    button: str,
    typed: list[tuple[str, str]],
    is_sound: bool,
) -> None:
    if budget.spent():
        return
    session, form = signed_in(target.url, target.author)
    if is_sound:
        form |= {"name": "mine", "version": "1", "title": "Mine", "entry.type": "shell", "entry.script": "run.sh"}
        form |= {"script": "true", "control.cpus": "1", "parameters[0].name": "text", "parameters[0].type": "string"}
    form |= dict(typed) | {"_do": button}
    if name == "kept":  # any author may edit it; that nobody else does is looked at elsewhere
        form["_token"] = "none"
    basic = base64.b64encode(":".join(target.author).encode()).decode()
    headers = [("Authorization", f"Basic {basic}"), ("Cookie", f"uws_form={session.cookies['uws_form']}")]
    body = ("application/x-www-form-urlencoded", urlencoded(list(form.items())))
    where = f"/definitions/{name}{tail}"
    query = f"?{urlencoded(typed).decode()}" if method == "GET" else ""
    check(target, request_of(method, where + query, headers, body if method == "POST" else ("", b"")), is_author=True)
    assert target.definitions() == target.kept


CODED = [b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", b"Transfer-Encoding: identity\r\n\r\nabc"]
"""Codings of the transfer that the server does not know: 501 is what RFC 9112 (6.1) wants."""

FRAMES = [
    b"Content-Length: 5\r\n\r\nab",
    b"Content-Length: 2\r\n\r\nabcdef",
    b"Content-Length: -1\r\n\r\n",
    b"Content-Length: +3\r\n\r\nabc",
    b"Content-Length: 99999999999999999999999\r\n\r\nabc",
    b"Content-Length: 0x3\r\n\r\nabc",
    b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc",
    b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc",
    *CODED,
    b"Content-Length: 1500000\r\n\r\nabc",
    b"Content-Length: 3000000\r\n\r\nabc",
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n\r\n",
    b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AA\r\n\r\n",
    b" folded: x\r\n\r\n",
    b"No colon\r\n\r\n",
    b": empty\r\n\r\n",
    b"A: " + b"x" * 100_000 + b"\r\n\r\n",
    b"A: b\r\n" * 3000 + b"\r\n",
    b"\r\n",
    b"",
]
LINES = [b"GET /rest/dummy HTTP/1.1", b"POST /rest/dummy HTTP/1.1", b"POST /rest/dummy HTTP/1.0", b"GET / HTTP/2.0"]
LINES += [b"POST /rest/dummy?PHASE=RUN HTTP/1.1", b"PUT /rest/dummy/sync HTTP/1.1", b"GET  /  HTTP/1.1", b"GET /"]
LINES += [b"GET http://other/rest/dummy HTTP/1.1", b"OPTIONS * HTTP/1.1", b"CONNECT x:1 HTTP/1.1", b"PRI * HTTP/2.0"]
LINES += [b"GET /" + b"a" * 70_000 + b" HTTP/1.1", b"GET /\xff\xfe\x80 HTTP/1.1", b"\x16\x03\x01\x02\x00\x01"]


@fuzzing
@given(
    st.sampled_from(LINES) | junk.map(lambda data: b"GET /" + data + b" HTTP/1.1") | junk,
    st.lists(junk.map(lambda data: b"X: " + data) | junk, max_size=2),
    st.sampled_from(FRAMES) | junk,
    st.sampled_from([b"", b"Content-Type: multipart/form-data; boundary=b\r\n", b"Expect: 100-continue\r\n"]),
)
@example(LINES[1], [], CODED[0], b"")
@example(LINES[1], [], CODED[1], b"")
def test_broken_http_gets_an_answer_or_a_closed_connection(
    target: Target, budget: Budget, first: bytes, headers: list[bytes], frame: bytes, kind: bytes
) -> None:
    if budget.spent():
        return
    middle = b"".join(header + b"\r\n" for header in headers)
    right = 501 if frame in CODED else None
    check(target, first + b"\r\nHost: x\r\n" + middle + kind + frame, is_whole=False, right=right)


def test_after_all_that_nothing_is_lost_and_nothing_was_made_unseen(target: Target) -> None:
    """Runs last: the server still serves, its log has no traceback, and each job there is was told of by a 303."""
    assert target.state() == target.before
    assert target.definitions() == target.kept
    known = target.made | {target.owned, target.ended}
    for definition in ("dummy", "files", "table", "tree", "loud", "spectrum"):
        answer = requests.get(f"{target.url}/rest/{definition}", auth=target.owner, timeout=300)
        found = {part.partition('"')[0] for part in answer.text.split('xlink:href="')[1:]}
        if definition != "dummy":  # a broken connection may take the 303 of a job that was made before it broke
            assert found <= known
    assert requests.get(f"{target.url}/availability", timeout=PATIENCE_S).status_code == 200
    log = target.log.read_text(errors="replace")
    assert "Traceback" not in log, log[log.index("Traceback") - 500 :][:3000]
    assert change(target.ended, PHASE="RUN").status_code in (403, 404)
