"""The files of a job: one by one with conditions and ranges (RFC 9110), all of them as tar and zip."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from serving import running_server
from uws_server.web.jobs import archives
from uws_server.web.jobs.archives import Member, tar, tar_size, zip_size, zipped
from uwsjobs import change, create, document, reached, write_definitions

CONTENT = bytes(range(256)) * 40
XLINK = "{http://www.w3.org/1999/xlink}href"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("archive")
    definitions = write_definitions(folder / "definitions")
    with running_server(folder / "data", definitions=definitions) as served:
        yield served.url


@pytest.fixture(scope="module")
def job(server: str) -> str:
    """A job whose result is the file that was uploaded."""
    sent = requests.post(
        f"{server}/rest/files", files={"table": ("t.bin", CONTENT)}, allow_redirects=False, timeout=300
    )
    address = sent.headers["Location"]
    change(f"{address}/phase", PHASE="RUN")
    assert reached(address, "COMPLETED", "ERROR") == "COMPLETED"
    return address


@pytest.fixture(scope="module")
def stored(server: str, job: str) -> str:
    """The address of that file below /store, as the page of the job links it."""
    page = requests.get(f"{server}/jobs/{job.rpartition('/')[2]}", headers={"Accept": "text/html"}, timeout=300).text
    found = re.search(r'"(/store/[0-9a-f]{32}/[^"]+)"', page)
    assert found is not None
    address = f"{server}{found[1]}"
    assert requests.get(address, timeout=300).content == CONTENT
    return address


def test_a_file_tells_what_it_is(stored: str, job: str) -> None:
    head = requests.head(stored, timeout=300)
    assert (head.status_code, head.headers["Content-Length"], head.content) == (200, str(len(CONTENT)), b"")
    assert head.headers["Accept-Ranges"] == "bytes"
    assert head.headers["ETag"] == requests.get(f"{job}/results/result", timeout=300).headers["ETag"]


@pytest.mark.parametrize(("asked", "status", "sent"), [
    ("bytes=0-9", 206, CONTENT[:10]),
    ("bytes=100-", 206, CONTENT[100:]),
    ("bytes=-7", 206, CONTENT[-7:]),
    ("bytes=-99999999", 206, CONTENT),
    ("bytes=10230-99999999", 206, CONTENT[10230:]),
    ("bytes=0-0,5-6", 200, CONTENT),  # several: the whole file, which RFC 9110, 14.2, allows
    ("bytes=9-3", 200, CONTENT),
    ("bytes=-", 200, CONTENT),
    ("lines=1-2", 200, CONTENT),
    ("bytes=10240-", 416, None),
    ("bytes=-0", 416, None),
])  # fmt: skip
def test_ranges(stored: str, asked: str, status: int, sent: bytes | None) -> None:
    answer = requests.get(stored, headers={"Range": asked}, timeout=300)
    assert answer.status_code == status
    if sent is not None:
        assert answer.content == sent
    if status == 206:
        first = len(CONTENT) - len(sent or b"") if asked != "bytes=0-9" else 0
        assert answer.headers["Content-Range"] == f"bytes {first}-{first + len(sent or b'') - 1}/{len(CONTENT)}"
    elif status == 416:
        assert answer.headers["Content-Range"] == f"bytes */{len(CONTENT)}"


def test_conditions(stored: str) -> None:
    whole = requests.get(stored, timeout=300)
    tag, date = whole.headers["ETag"], whole.headers["Last-Modified"]

    def status(**headers: str) -> tuple[int, int]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = requests.get(stored, headers=named, timeout=300)
        return answer.status_code, len(answer.content)

    assert status(If_None_Match=tag) == (304, 0)
    assert status(If_None_Match=f'"other", W/{tag}') == (304, 0)
    assert status(If_None_Match="*") == (304, 0)
    assert status(If_None_Match='"other"') == (200, len(CONTENT))
    assert status(If_Modified_Since=date) == (304, 0)
    assert status(If_None_Match='"other"', If_Modified_Since=date) == (200, len(CONTENT))
    assert status(Range="bytes=0-9", If_Range=tag) == (206, 10)
    assert status(Range="bytes=0-9", If_Range=date) == (206, 10)
    assert status(Range="bytes=0-9", If_Range='"other"') == (200, len(CONTENT))
    assert requests.head(stored, headers={"If-None-Match": tag}, timeout=300).status_code == 304


def test_all_files_of_a_job(server: str, job: str) -> None:
    job_id = job.rpartition("/")[2]
    names = {element.get("id") for element in document(f"{job}/results")}
    assert names == {"result", "log"}
    for suffix, kind in (("tar", "application/x-tar"), ("zip", "application/zip")):
        address = f"{server}/jobs/{job_id}/all.{suffix}"
        answer = requests.get(address, timeout=300)
        assert answer.headers["Content-Type"] == kind
        assert answer.headers["Content-Length"] == str(len(answer.content))
        assert answer.headers["Content-Disposition"] == f'attachment; filename="files-{job_id[:8]}.{suffix}"'
        head = requests.head(address, timeout=300)
        assert (head.headers["Content-Length"], head.content) == (answer.headers["Content-Length"], b"")
        inside = unpacked(answer.content, suffix)
        assert inside[f"files-{job_id[:8]}/result"] == CONTENT
        assert f"files-{job_id[:8]}/job.log" in inside
    assert requests.get(f"{server}/jobs/{job_id}/all.rar", timeout=300).status_code == 404
    waiting = create(server).rpartition("/")[2]
    answer = requests.get(f"{server}/jobs/{waiting}/all.zip", timeout=300)
    assert (answer.status_code, "has no files yet; it is PENDING" in answer.text) == (404, True)


def test_an_archive_of_files_that_are_lost_says_so(tmp_path: Path) -> None:
    with running_server(tmp_path) as served:
        address = create(served.url, PHASE="RUN")
        assert reached(address, "COMPLETED") == "COMPLETED"
        job = address.rpartition("/")[2]
        folder = next((tmp_path / "jobs").rglob(job))
        folder.rename(tmp_path / "lost")
        answer = requests.get(f"{served.url}/jobs/{job}/all.tar", timeout=300)
        assert (answer.status_code, answer.text) == (404, f"job {job} has lost its files\n")


def unpacked(content: bytes, suffix: str) -> dict[str, bytes]:
    if suffix == "zip":
        with zipfile.ZipFile(io.BytesIO(content)) as opened:
            assert opened.testzip() is None
            return {name: opened.read(name) for name in opened.namelist()}
    with tarfile.open(fileobj=io.BytesIO(content)) as opened_tar:
        return {member.name: opened_tar.extractfile(member).read() for member in opened_tar}  # type: ignore[union-attr]


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="/\\"), min_size=1,
                               max_size=30), st.binary(max_size=2000), max_size=5))  # fmt: skip
def test_any_files(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]) -> None:
    folder = tmp_path_factory.mktemp("files")
    members = []
    for number, (name, content) in enumerate(files.items()):
        path = folder / str(number)
        path.write_bytes(content)
        members.append(Member.of(f"job/{name}", path))
    for suffix, size, pieces in (("tar", tar_size, tar), ("zip", zip_size, zipped)):
        content = b"".join(pieces(members))
        assert len(content) == size(members)
        assert unpacked(content, suffix) == {f"job/{name}": content for name, content in files.items()}


def test_unzip_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "events.fits"
    path.write_bytes(CONTENT)
    packed = tmp_path / "all.zip"
    packed.write_bytes(b"".join(zipped([Member.of("job/été.fits", path), Member.of("job/b.fits", path)])))
    with zipfile.ZipFile(packed) as opened:
        assert [info.compress_type for info in opened.infolist()] == [zipfile.ZIP_STORED] * 2
        checksum = zlib.crc32(CONTENT)
        assert checksum == opened.infolist()[0].CRC
        assert opened.infolist()[0].external_attr >> 16 == 0o100644
    try:
        done = subprocess.run(["unzip", "-t", packed], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("install the Debian package unzip")
    assert (done.returncode, "No errors detected" in done.stdout) == (0, True), done.stdout


def test_files_of_more_than_4_gb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The 64-bit forms, begun at a kilobyte, are read by others all the same; a real file tells the length only."""
    path = tmp_path / "large.fits"
    with path.open("wb") as stream:
        stream.truncate(5_000_000_000)
    members = [Member.of("job/large.fits", path), Member.of("job/again.fits", path)]
    # local headers with 20 bytes of extra field, 24 behind each file, entries with 20 and 28, 76 and 22 at the end
    expected = 2 * (30 + 14 + 20 + 24) + 10_000_000_000 + (46 + 14 + 20) + (46 + 14 + 28) + 76 + 22
    assert zip_size(members) == expected
    assert tar_size(members) > 10_000_000_000
    small = tmp_path / "small.fits"
    small.write_bytes(CONTENT)
    monkeypatch.setattr(archives, "_LARGEST", 1000)
    assert archives._is_long(Member.of("a", small))


def test_a_large_job_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.fits"
    with path.open("wb") as stream:
        stream.truncate(1_000_000_000)
    members = [Member.of("job/large.fits", path)]
    for size, pieces in ((tar_size, tar), (zip_size, zipped)):
        tracemalloc.start()
        count = sum(map(len, pieces(members)))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert count == size(members)
        assert peak < 2_000_000, f"{peak} bytes"


def test_a_file_that_becomes_shorter_breaks_the_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    path.write_bytes(CONTENT)
    members = [Member.of("a.fits", path)]
    path.write_bytes(CONTENT[:-1])
    for pieces in (tar, zipped):
        with pytest.raises(OSError, match=r"a\.fits became shorter while it was sent"):
            list(pieces(members))
