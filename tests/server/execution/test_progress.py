"""Progress out of a log that grows while it is read, and the sentence a script ended with."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from growth import Work, require_linear
from uws_server.execution.progress import ProgressReader, error_sentence, latest
from uws_server.jobs.job import Progress, new_id
from uws_server.storage.files import JobFiles


@pytest.fixture
def log(tmp_path: Path) -> tuple[ProgressReader, str, Path]:
    files = JobFiles(tmp_path)
    job_id = new_id()
    return ProgressReader(files), job_id, files.create(job_id, {}) / "job.log"


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as stream:
        stream.write(data)


@pytest.mark.parametrize(
    ("line", "progress"),
    [
        (b"[STAGE 2/5] Filtering events\n", Progress("Filtering events", 2, 5)),
        (b"[STAGE 2/5] Filtering events\r\n", Progress("Filtering events", 2, 5)),
        (b"[STAGE] Running rmfgen\n", Progress("Running rmfgen", 1, 9)),
        (b"[STAGE 3/5]\n", Progress("", 3, 5)),
        (b"[STAGE 1/2] \xc3\xa9t\xff\n", Progress("ét\ufffd", 1, 2)),
        (b"[STAGE 1/2] \x1b[32mgreen\x1b[0m\x07\x00\n", Progress("green", 1, 2)),
        (b"[STAGE 1/2] " + b"x" * 1000 + b"\n", Progress("x" * 300, 1, 2)),
        (b"[STAGE 1/2] a\nb\n[STAGE 2/2] c\nd\n", Progress("c", 2, 2)),
        (b"[STAGE 1/2] a\r[STAGE 2/2] b\n", Progress("a", 1, 2)),
        (b" [STAGE 2/5] no\n", Progress("before", 1, 9)),
        (b"text [STAGE 2/5] no\n", Progress("before", 1, 9)),
        (b"[STAGE 2] no\n[STAGE a/b] no\n[STAGE 1234567/9] no\n[stage 1/2] no\n", Progress("before", 1, 9)),
        (b"", Progress("before", 1, 9)),
    ],
)
def test_stages(line: bytes, progress: Progress) -> None:
    assert latest(line, Progress("before", 1, 9)) == progress


def test_a_log_is_read_as_it_grows(log: tuple[ProgressReader, str, Path]) -> None:
    reader, job_id, path = log
    assert reader.read(job_id) == Progress()
    append(path, b"loading\n[STAGE 1/3] Reading\n[STA")
    assert reader.read(job_id) == Progress("Reading", 1, 3)
    append(path, b"GE 2/3] Filt")
    assert reader.read(job_id) == Progress("Reading", 1, 3)
    append(path, b"ering\nnothing\n")
    assert reader.read(job_id) == Progress("Filtering", 2, 3)
    assert reader.read(job_id) == Progress("Filtering", 2, 3)
    append(path, b"[STAGE] Writing\n")
    assert reader.read(job_id) == Progress("Writing", 2, 3)


def test_a_job_that_was_forgotten_is_read_from_the_beginning(log: tuple[ProgressReader, str, Path]) -> None:
    reader, job_id, path = log
    append(path, b"[STAGE 1/3] Reading\n")
    reader.read(job_id)
    reader.forget(job_id)
    reader.forget(job_id)
    path.write_bytes(b"[STAGE 2/2] Other\n")
    assert reader.read(job_id) == Progress("Other", 2, 2)


stage_lines = st.builds(
    lambda text, number: (f"[STAGE {number}/9] {text}".encode(), Progress(text, number, 9)),
    st.text("abc é", max_size=8).map(str.strip),
    st.integers(1, 9),
)
other_lines = (
    st.binary(max_size=12)
    .filter(lambda line: b"\n" not in line and not line.startswith(b"[STAGE"))
    .map(lambda x: (x, None))
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(stage_lines | other_lines, max_size=12), cuts=st.lists(st.integers(1, 40), min_size=1, max_size=9)
)
def test_however_a_log_is_cut_the_last_stage_is_seen(
    log: tuple[ProgressReader, str, Path], lines: list[tuple[bytes, Progress | None]], cuts: list[int]
) -> None:
    reader, job_id, path = log
    reader.forget(job_id)
    path.write_bytes(b"")
    content = b"".join(line + b"\n" for line, _ in lines)
    at = 0
    for turn in range(len(content)):
        step = cuts[turn % len(cuts)]
        append(path, content[at : at + step])
        at += step
        whole = content[:at].count(b"\n")
        seen = [progress for _, progress in lines[:whole] if progress]
        assert reader.read(job_id) == (seen[-1] if seen else Progress())
        if at >= len(content):
            break


def test_what_nobody_asked_for_lately_is_forgotten_by_itself(tmp_path: Path) -> None:
    """Of a job that another server ran nobody tells this one the end."""
    files = JobFiles(tmp_path)
    reader = ProgressReader(files)
    seldom, often = new_id(), new_id()
    for job_id in (seldom, often):
        append(files.create(job_id, {}) / "job.log", b"[STAGE 1/3] Reading\n")
        assert reader.read(job_id) == Progress("Reading", 1, 3)
        (files.folder(job_id) / "job.log").unlink()
    for _ in range(1000):
        reader.read(new_id())
        assert reader.read(often) == Progress("Reading", 1, 3)
    assert reader.read(seldom) == Progress()


def test_megabytes_without_a_line_end_are_passed_over(tmp_path: Path) -> None:
    files = JobFiles(tmp_path)

    def reading(megabytes: int) -> Work:
        job_id = new_id()
        path = files.create(job_id, {}) / "job.log"
        append(path, b"[STAGE 1/2] First\n" + b"x" * megabytes * 10**6 + b"\n[STAGE 2/2] Second\n")

        def read() -> None:
            assert ProgressReader(files).read(job_id) == Progress("Second", 2, 2)

        return read

    require_linear(reading, 3)


@pytest.mark.parametrize(
    ("begin", "again", "count", "end"),
    [
        (b"[STAGE]", b" ", 1_000_000, b"\rX\n"),
        (b"", b"[STAGE 1/2] ", 80_000, b"\n"),
        (b"", b"[STAGE] \n", 100_000, b""),
    ],
)
def test_no_line_holds_the_server_up(begin: bytes, again: bytes, count: int, end: bytes) -> None:
    def looking(many: int) -> Work:
        line = begin + again * many + end

        def look() -> None:
            latest(line, Progress())
            error_sentence(line.replace(b"STAGE", b"ERROR"))

        return look

    require_linear(looking, count // 8)


@pytest.mark.parametrize(
    ("log_text", "sentence"),
    [
        (b"", ""),
        (b"\n \n", ""),
        (b"[ERROR] gti: no good time is left\nTraceback\n", "gti: no good time is left"),
        (b"[ERROR] first\n[ERROR] second\r\n", "second"),
        (b"[ERROR] first\n[ERROR]\n", "first"),
        (b"[ERROR]\nlast\n", "last"),
        (b"Traceback (most recent call last):\n  File\nValueError: bad\n\n", "ValueError: bad"),
        (b"no line end", "no line end"),
        (b"50%\r100%\r", "100%"),
        (b"\x1b[1;31mfatal\x1b[0m: \x00broken\xff\n\x1b[0m\n", "fatal: broken\ufffd"),
        (b"[ERROR] " + b"x" * 9999, "x" * 2000),
    ],
)
def test_the_sentence_of_an_error(log_text: bytes, sentence: str) -> None:
    assert error_sentence(log_text) == sentence


@given(st.binary(max_size=300) | st.text().map(str.encode))
def test_what_a_script_prints_always_fits_into_a_document(log_text: bytes) -> None:
    document = etree.Element("message")
    document.text = error_sentence(log_text)
    document.set("stage", latest(b"[STAGE 1/2] " + log_text + b"\n", Progress()).stage)
    assert etree.fromstring(etree.tostring(document)).get("stage") is not None
