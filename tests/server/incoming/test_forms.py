"""The form of a request: what `requests` encodes is read back, however it is cut, and what is wrong is refused."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from growth import Work, require_linear
from uws_server.errors import BadRequest, TooLarge, UnsupportedMedia
from uws_server.incoming.forms import Form, query, reading
from uws_server.services.parameters import Upload
from uws_server.storage.files import JobFiles

MOST = 10_000_000


class Pieces(io.RawIOBase):
    """A stream that gives its content in pieces of its own choice, never more than asked for."""

    def __init__(self, content: bytes, sizes: list[int]) -> None:
        self.content, self.sizes, self.at, self.count = content, sizes, 0, 0

    def read(self, size: int = -1) -> bytes:
        assert size > 0, "a WSGI server may block for ever on read() without a size"
        wanted = min(size, self.sizes[self.count % len(self.sizes)]) if self.sizes else size
        piece = self.content[self.at : self.at + wanted]
        self.at += len(piece)
        self.count += 1
        return piece


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> JobFiles:
    return JobFiles(tmp_path_factory.mktemp("forms"))


@pytest.fixture(autouse=True)
def _nothing_left(files: JobFiles) -> Iterator[None]:
    """No test may leave a spooled file behind, whatever went wrong in it."""
    yield
    assert list(files.incoming.iterdir()) == []


def environ(
    body: bytes, content_type: str | None, announced: int | None = None, stream: Pieces | None = None, **more: str
) -> dict[str, Any]:
    made: dict[str, Any] = {"QUERY_STRING": "", "wsgi.input": stream or Pieces(body, [])}
    if content_type is not None:
        made["CONTENT_TYPE"] = content_type
    made["CONTENT_LENGTH"] = str(len(body) if announced is None else announced)
    return made | more


def encoded(**how: Any) -> tuple[bytes, str]:
    """A body and its content type as `requests` would send them."""
    prepared = requests.Request("POST", "http://x.org/", **how).prepare()
    body = prepared.body or b""
    return (body.encode("ascii") if isinstance(body, str) else body), prepared.headers.get("Content-Type", "")


def refusal(files: JobFiles, made: dict[str, Any], most: int = MOST, error: type[Exception] = BadRequest) -> str:
    with pytest.raises(error) as caught, reading(made, files.spool, most):
        raise AssertionError("the form was read")
    return str(caught.value)


field_names = st.from_regex(r"[a-zA-Z_]{1,12}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
fields = st.lists(st.tuples(field_names, texts), min_size=1, max_size=6)
contents = st.binary(max_size=300) | st.sampled_from([b"\r\n--", b"\r", b"\r\n", b"--", b"\r\n--x\r\n" * 9])
uploads = st.dictionaries(field_names.map(str.lower), contents, min_size=1, max_size=3)
sizes = st.lists(st.integers(1, 60), max_size=6)


def expected(pairs: list[tuple[str, str]]) -> dict[str, list[str]]:
    made: dict[str, list[str]] = {}
    for name, text in pairs:
        made.setdefault(name, []).append("\n".join(text.split("\r\n")))
    return made


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pairs=fields, pieces=sizes, announced=st.booleans())
def test_an_urlencoded_body_is_read(
    files: JobFiles, pairs: list[tuple[str, str]], pieces: list[int], announced: bool
) -> None:
    body, content_type = encoded(data=pairs)
    made = environ(body, content_type, stream=Pieces(body, pieces))
    if not announced:
        del made["CONTENT_LENGTH"]
    with reading(made, files.spool, MOST) as form:
        assert form.values == expected(pairs)
        assert form.uploads == {}


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pairs=fields, sent=uploads, pieces=sizes, announced=st.booleans())
def test_a_multipart_body_is_read(
    files: JobFiles, pairs: list[tuple[str, str]], sent: dict[str, bytes], pieces: list[int], announced: bool
) -> None:
    parts = {name: (f"{name}.fits", content) for name, content in sent.items()}
    body, content_type = encoded(data=pairs, files=parts)
    made = environ(body, content_type, stream=Pieces(body, pieces))
    if not announced:
        made["CONTENT_LENGTH"] = ""
    with reading(made, files.spool, MOST) as form:
        assert form.values == expected(pairs)
        assert {name: upload.path.read_bytes() for name, upload in form.uploads.items()} == sent
        assert {name: upload.filename for name, upload in form.uploads.items()} == {
            name: f"{name}.fits" for name in sent
        }
    assert list(files.incoming.iterdir()) == []


@pytest.mark.parametrize("how", ["urlencoded", "multipart"])
def test_line_ends_are_those_of_unix_in_texts_and_stay_as_they_are_in_files(files: JobFiles, how: str) -> None:
    sent, content = "a\r\nb\r\n\r\nc\nd\re", b"a\r\nb\r\n"
    more = {"files": {"list": ("list.txt", content)}} if how == "multipart" else {}
    body, content_type = encoded(data={"text": sent}, **more)
    made = environ(body, content_type, stream=Pieces(body, [1]), QUERY_STRING="asked=1%0D%0A2")
    with reading(made, files.spool, MOST) as form:
        assert form.values == {"asked": ["1\n2"], "text": ["a\nb\n\nc\nd\re"]}
        assert [upload.path.read_bytes() for upload in form.uploads.values()] == [content] * len(more)


def test_the_query_string_comes_first(files: JobFiles) -> None:
    body, content_type = encoded(data={"text": "body"})
    made = environ(body, content_type, QUERY_STRING="PHASE=RUN&text=query&empty=")
    with reading(made, files.spool, MOST) as form:
        assert form.values == {"PHASE": ["RUN"], "text": ["query", "body"], "empty": [""]}
        assert form.take("phase") == "RUN"
        assert form.take("phase") is None
        assert form.take("TEXT") == "body"
        assert form.values == {"empty": [""]}


@pytest.mark.parametrize("content_type", [None, "", "application/x-www-form-urlencoded; charset=UTF-8"])
def test_a_body_may_be_empty(files: JobFiles, content_type: str | None) -> None:
    made = environ(b"", content_type, QUERY_STRING="PHASE=ABORT")
    del made["CONTENT_LENGTH"]
    with reading(made, files.spool, MOST) as form:
        assert form.values == {"PHASE": ["ABORT"]}


def test_a_file_of_many_chunks_goes_to_disk_whole(files: JobFiles) -> None:
    content = bytes(range(256)) * 12_000 + b"\r\n--almost"
    body, content_type = encoded(files={"eventlist": ("a.fits", content)})
    with reading(environ(body, content_type), files.spool, MOST) as form:
        assert form.uploads["eventlist"].path.read_bytes() == content


def test_what_a_job_took_is_not_removed(files: JobFiles, tmp_path: Path) -> None:
    body, content_type = encoded(files={"eventlist": ("a.fits", b"SIMPLE")})
    with reading(environ(body, content_type), files.spool, MOST) as form:
        form.uploads["eventlist"].path.rename(tmp_path / "taken")
    assert (tmp_path / "taken").read_bytes() == b"SIMPLE"


def test_files_are_removed_when_the_handler_fails(files: JobFiles) -> None:
    body, content_type = encoded(files={"eventlist": ("a.fits", b"SIMPLE")})
    with pytest.raises(ZeroDivisionError), reading(environ(body, content_type), files.spool, MOST):
        raise ZeroDivisionError


BROWSER = (
    b'------WebKitFormBoundaryA\r\nContent-Disposition: form-data; name="eventlist"; filename=""\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n\r\n"
    b'------WebKitFormBoundaryA\r\nContent-Disposition: form-data; name="text"\r\n\r\nh\xc3\xa9\r\n'
    b"------WebKitFormBoundaryA--\r\n"
)


@pytest.mark.parametrize("before", [b"", b"\r\n"])
def test_the_empty_file_field_of_a_browser_is_no_file(files: JobFiles, before: bytes) -> None:
    """A browser sends a part without content for a file field that was left empty; TOPCAT begins with a line break."""
    made = environ(before + BROWSER, 'multipart/form-data; boundary="----WebKitFormBoundaryA"')
    with reading(made, files.spool, MOST) as form:
        assert (form.values, form.uploads) == ({"text": ["hé"]}, {})


@pytest.mark.parametrize("second", ["eventlist", "EventList"])
def test_several_files_of_one_name_are_numbered(files: JobFiles, second: str) -> None:
    sent = [("eventlist", ("a", b"1")), (second, ("b", b"2")), ("x", ("x", b"x")), ("eventlist", ("c", b"3"))]
    body, content_type = encoded(files=sent)
    with reading(environ(body, content_type), files.spool, MOST) as form:
        assert {name: upload.path.read_bytes() for name, upload in form.uploads.items()} == {
            "eventlist": b"1",
            "eventlist[2]": b"2",
            "x": b"x",
            "eventlist[3]": b"3",
        }


def test_a_part_that_is_named_like_a_second_file_loses_none(files: JobFiles) -> None:
    sent = [("f[2]", ("a", b"1")), ("f", ("b", b"2")), ("f", ("c", b"3")), ("f[2]", ("d", b"4"))]
    body, content_type = encoded(files=sent)
    with reading(environ(body, content_type), files.spool, MOST) as form:
        assert sorted(upload.path.read_bytes() for upload in form.uploads.values()) == [b"1", b"2", b"3", b"4"]


def attaching(count: int) -> Work:
    """Attach so many files of one name to a form."""

    def attach() -> None:
        form = Form()
        for _ in range(count):
            form.attach("f", Upload(Path("/nowhere"), "f"))
        assert len(form.uploads) == count

    return attach


def test_thousands_of_files_of_one_name_cost_no_more_each_than_a_few() -> None:
    require_linear(attaching, 1250)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kept=st.floats(0, 0.999), announced=st.booleans(), pieces=sizes)
def test_a_body_that_was_cut_short_is_refused(files: JobFiles, kept: float, announced: bool, pieces: list[int]) -> None:
    body, content_type = encoded(data={"text": "a"}, files={"eventlist": ("a.fits", b"SIMPLE  =" * 20)})
    body = body.removesuffix(b"\r\n")
    cut = body[: int(kept * len(body))]
    made = environ(cut, content_type, stream=Pieces(cut, pieces))
    made["CONTENT_LENGTH"] = str(len(body)) if announced else ""
    said = refusal(files, made)
    assert said == f"the body ended after {len(cut)} of {len(body)} bytes" if announced else "cannot be read" in said
    assert list(files.incoming.iterdir()) == []


def test_a_large_body_that_is_announced_is_refused_unread(files: JobFiles) -> None:
    stream = Pieces(b"", [])
    made = environ(b"", "multipart/form-data; boundary=x", announced=5_000_000_000, stream=stream)
    with (
        pytest.raises(TooLarge, match=r"^the request has 5,000 MB or more; this server takes 10 MB at most$"),
        reading(made, files.spool, MOST),
    ):
        raise AssertionError
    assert stream.count == 0


class Endless(Pieces):
    """A body that begins in some way and never ends."""

    def read(self, size: int = -1) -> bytes:
        piece = b"x" * size if self.at else self.content
        self.at += len(piece)
        return piece


@pytest.mark.parametrize(
    ("begin", "content_type"),
    [
        (b"a=b&", "application/x-www-form-urlencoded"),
        (b"\0", "multipart/form-data; boundary=x"),
        (b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n', "multipart/form-data; boundary=x"),
        (b'--x\r\nContent-Disposition: form-data; name="a"; filename="f"\r\n\r\n', "multipart/form-data; boundary=x"),
        (b'--x\r\nContent-Disposition: form-data; name="a"; filename=""\r\n\r\n', "multipart/form-data; boundary=x"),
    ],
)
def test_a_large_body_that_is_not_announced_is_refused_when_it_has_grown(
    files: JobFiles, begin: bytes, content_type: str
) -> None:
    stream = Endless(begin, [])
    made = environ(b"", content_type, stream=stream)
    made["CONTENT_LENGTH"] = ""
    with pytest.raises(TooLarge), reading(made, files.spool, MOST):
        raise AssertionError
    assert stream.at < MOST + 2**19


def test_values_are_not_collected_without_end(files: JobFiles) -> None:
    for how in (
        {"data": {"a": "x" * 4_000_001}},
        {"data": {"a": "x" * 2_100_000, "b": "x" * 2_100_000}, "files": {"f": b"1"}},
    ):
        body, content_type = encoded(**how)
        with pytest.raises(TooLarge, match="4,000,000 bytes"), reading(environ(body, content_type), files.spool, MOST):
            raise AssertionError


def test_fields_are_counted(files: JobFiles) -> None:
    many = [("a", "")] * 10_001
    assert "more than 10,000 fields" in refusal(files, environ(*encoded(data=many)))
    assert "cannot be read" in refusal(files, environ(*encoded(data=many, files={"f": b"1"})))
    with pytest.raises(BadRequest, match="query string has more than 10,000 fields"):
        query({"QUERY_STRING": urlencode(many)})


PART = b'--x\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n--x--\r\n'


@pytest.mark.parametrize(
    ("body", "content_type", "said"),
    [
        (b"a=\xff", "application/x-www-form-urlencoded", "the body is not UTF-8 text"),
        (b"a=%FF", "", "the body is not UTF-8 text"),
        (b"", "multipart/form-data", "came without a boundary"),
        (b"", 'multipart/form-data; boundary=""', "came without a boundary"),
        (b"", "multipart/form-data; boundary=x", "cannot be read"),
        (b"--y--\r\n", "multipart/form-data; boundary=x", "cannot be read"),
        (PART % (b"text", b"\xff"), "multipart/form-data; boundary=x", "text: the value is not UTF-8 text"),
        (PART % (b"\xff", b"1"), "multipart/form-data; boundary=x", "cannot be read"),
        (PART % (b"", b"1"), "multipart/form-data; boundary=x", "has no name"),
        (PART % (b"n" * 201, b"1"), "multipart/form-data; boundary=x", "more than 200 characters"),
        (PART % (b"n" * 5000, b"1"), "multipart/form-data; boundary=x", "cannot be read"),
        (b"--x\r\nX: y\r\n\r\n1\r\n--x--", "multipart/form-data; boundary=x", "cannot be read"),
        (b"--x\r\n" + b"X: y\r\n" * 99 + b"\r\n1\r\n--x--", "multipart/form-data; boundary=x", "cannot be read"),
        (b"--x\nContent-Disposition: form-data\n\n1\n--x--", "multipart/form-data; boundary=x", "cannot be read"),
    ],
)
def test_a_body_that_is_no_form_is_refused_with_the_reason(
    files: JobFiles, body: bytes, content_type: str, said: str
) -> None:
    sentence = refusal(files, environ(body, content_type))
    assert said in sentence
    assert len(sentence) < 300


@pytest.mark.parametrize("content_type", ["application/json", "a" * 500])
def test_a_body_of_another_type_is_unsupported(files: JobFiles, content_type: str) -> None:
    sentence = refusal(files, environ(b"{}", content_type), error=UnsupportedMedia)
    assert sentence.startswith(f"Content-Type '{content_type[:80]}' came; application/x-www-form-urlencoded and")
    assert len(sentence) < 300


@pytest.mark.parametrize("announced", ["²", "-1", "1e3", "0x10", "9" * 5000, " 1"])
def test_a_length_that_is_none_is_refused(files: JobFiles, announced: str) -> None:
    made = environ(b"", "", CONTENT_LENGTH=announced)
    assert "is not a number" in refusal(files, made)


def test_a_query_string_of_raw_utf8_is_read_and_of_anything_else_refused() -> None:
    """WSGI hands the bytes of the query string as latin-1."""
    assert query({"QUERY_STRING": "text=é".encode().decode("latin-1")}) == [("text", "é")]
    assert query({"QUERY_STRING": "text=%C3%A9&b"}) == [("text", "é"), ("b", "")]
    assert query({}) == []
    for raw in ("text=\xe9", "text=%FF"):
        with pytest.raises(BadRequest, match="the query string is not UTF-8 text"):
            query({"QUERY_STRING": raw})


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200), pieces=sizes, boundary=st.text("xy-", min_size=1, max_size=4))
def test_any_bytes_are_a_form_or_refused(files: JobFiles, body: bytes, pieces: list[int], boundary: str) -> None:
    for start in (
        b"",
        f"--{boundary}\r\n".encode(),
        f'--{boundary}\r\nContent-Disposition: form-data; name="a"'.encode(),
    ):
        for content_type in (f"multipart/form-data; boundary={boundary}", ""):
            content = start + body
            made = environ(content, content_type, stream=Pieces(content, pieces))
            try:
                with reading(made, files.spool, MOST) as form:
                    assert isinstance(form.values, dict)
            except (BadRequest, TooLarge) as error:
                assert str(error)
    assert list(files.incoming.iterdir()) == []
