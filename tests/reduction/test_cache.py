"""Inflated copies of gzipped files: what comes from the cache, what leaves it, and what becomes of a damaged one."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from processes import until
from reduction.errors import ReductionError
from reduction.events.cache import Cache, inflate_by
from scriptjobs import prepare, run
from synthetic import Epic, write

SIZE = 300_000


def cache_in(folder: Path, most: int = 10 * SIZE, free: int = 0) -> Cache:
    return Cache(folder / "cache", (folder / "archive").resolve(), most, free)


def packed(folder: Path, name: str, content: bytes | None = None) -> Path:
    """Make a gzipped file of the archive; its content is SIZE bytes unless it is given."""
    path = folder / "archive" / f"{name}.FTZ"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(content or _content(name)))
    return path


def _content(name: str) -> bytes:
    return (name.encode() * SIZE)[:SIZE]


def kept(folder: Path) -> list[bytes]:
    """The first byte of every copy in the cache."""
    return sorted(path.read_bytes()[:1] for path in (folder / "cache").iterdir())


def test_a_file_is_inflated_once_and_then_linked(tmp_path: Path) -> None:
    source, cache = packed(tmp_path, "a"), cache_in(tmp_path)
    inflate_by(cache, source, tmp_path / "first", "eventlist")
    inflate_by(cache, source, tmp_path / "second", "eventlist")
    assert (tmp_path / "first").read_bytes() == _content("a")
    assert (tmp_path / "first").samefile(tmp_path / "second")
    assert not (tmp_path / "first").stat().st_mode & 0o222


def test_a_file_that_was_changed_is_inflated_again(tmp_path: Path) -> None:
    source, cache = packed(tmp_path, "a"), cache_in(tmp_path)
    inflate_by(cache, source, tmp_path / "before", "eventlist")
    times = source.stat()
    source.write_bytes(gzip.compress(_content("b")))
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))  # as rsync -t would leave it
    inflate_by(cache, source, tmp_path / "after", "eventlist")
    assert (tmp_path / "after").read_bytes() == _content("b")


def test_only_files_of_the_archive_are_kept(tmp_path: Path) -> None:
    (tmp_path / "upload.FTZ").write_bytes(gzip.compress(_content("a")))
    (tmp_path / "archive").mkdir()
    inflate_by(cache_in(tmp_path), tmp_path / "upload.FTZ", tmp_path / "plain", "eventlist")
    assert (tmp_path / "plain").read_bytes() == _content("a")
    assert not (tmp_path / "cache").exists()


def test_what_was_not_used_for_the_longest_time_leaves_and_its_reader_reads_on(tmp_path: Path) -> None:
    cache = cache_in(tmp_path, most=2 * SIZE)
    sources = {name: packed(tmp_path, name) for name in "abc"}
    for name in "ab":
        inflate_by(cache, sources[name], tmp_path / name, "eventlist")
    inflate_by(cache, sources["a"], tmp_path / "a again", "eventlist")
    inflate_by(cache, sources["c"], tmp_path / "c", "eventlist")
    assert kept(tmp_path) == [b"a", b"c"]
    assert (tmp_path / "b").read_bytes() == _content("b")


def test_a_file_larger_than_the_cache_is_inflated_for_the_job_alone(tmp_path: Path) -> None:
    cache = cache_in(tmp_path, most=SIZE)
    inflate_by(cache, packed(tmp_path, "a"), tmp_path / "a", "eventlist")
    inflate_by(cache, packed(tmp_path, "b", b"b" * (SIZE + 1)), tmp_path / "b", "eventlist")
    assert (tmp_path / "b").read_bytes() == b"b" * (SIZE + 1)
    assert kept(tmp_path) == [b"a"]


def test_a_length_that_the_gzip_does_not_tell_is_found_out(tmp_path: Path) -> None:
    source, cache = packed(tmp_path, "a"), cache_in(tmp_path, most=2 * SIZE)
    source.write_bytes(gzip.compress(_content("a")) + gzip.compress(_content("b")) + gzip.compress(b"c" * 7))
    inflate_by(cache, source, tmp_path / "plain", "eventlist")
    assert (tmp_path / "plain").read_bytes() == _content("a") + _content("b") + b"c" * 7
    assert kept(tmp_path) == []


def test_no_copy_is_kept_where_the_disk_is_short_and_older_ones_leave(tmp_path: Path) -> None:
    inflate_by(cache_in(tmp_path), packed(tmp_path, "a"), tmp_path / "a", "eventlist")
    full = cache_in(tmp_path, free=2**62)
    inflate_by(full, packed(tmp_path, "b"), tmp_path / "b", "eventlist")
    assert (tmp_path / "b").read_bytes() == _content("b")
    assert kept(tmp_path) == []


@pytest.mark.parametrize("spoil", [lambda data: data[: len(data) // 2], lambda data: data[:-8] + b"\0" * 8])
def test_a_damaged_file_is_refused_with_a_sentence_and_leaves_nothing(tmp_path: Path, spoil: object) -> None:
    source = packed(tmp_path, "a", os.urandom(SIZE))
    source.write_bytes(spoil(source.read_bytes()))  # type: ignore[operator]
    for _ in range(2):
        with pytest.raises(ReductionError, match=r"^a\.FTZ cannot be inflated, it is truncated or broken .*again$"):
            inflate_by(cache_in(tmp_path), source, tmp_path / "plain", "eventlist")
        assert not (tmp_path / "plain").exists()
    assert kept(tmp_path) == []


HOLD = """
import sys
from pathlib import Path
from reduction.events import cache
with cache._locked(Path(sys.argv[1])) as stream:
    stream.write(b"half")
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_ends_with_its_process_and_nobody_waits_for_one_that_lives(tmp_path: Path) -> None:
    source, cache = packed(tmp_path, "a"), cache_in(tmp_path)
    inflate_by(cache, source, tmp_path / "first", "eventlist")
    (copy,) = (tmp_path / "cache").iterdir()
    copy.unlink()
    part = copy.with_suffix(".part")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", HOLD, str(part)], **pipes) as holder:  # type: ignore[call-overload]
        assert holder.stdout.readline() == b"held\n"
        inflate_by(cache, source, tmp_path / "meanwhile", "eventlist")
        assert (tmp_path / "meanwhile").read_bytes() == _content("a")
        assert part.read_bytes() == b"half"
        holder.send_signal(signal.SIGKILL)
    inflate_by(cache, packed(tmp_path, "b"), tmp_path / "b", "eventlist")
    assert kept(tmp_path) == [b"b"]  # the half copy is swept
    inflate_by(cache, source, tmp_path / "last", "eventlist")
    assert kept(tmp_path) == [b"a", b"b"]


def _many(folder: Path, process: int) -> int:
    """Inflate four files many times over; return how many came out wrong."""
    cache, wrong = cache_in(folder, most=2 * SIZE), 0
    for turn in range(40):
        name = "abcd"[(turn * (process + 1)) % 4]
        target = folder / f"{process}-{turn}"
        inflate_by(cache, folder / "archive" / f"{name}.FTZ", target, "eventlist")
        wrong += target.read_bytes() != _content(name)
        target.unlink()
    return wrong


def test_many_processes_share_a_cache_that_is_too_small(tmp_path: Path) -> None:
    for name in "abcd":
        packed(tmp_path, name)
    with ProcessPoolExecutor(6, mp_context=get_context("fork")) as pool:
        assert sum(pool.map(_many, [tmp_path] * 6, range(6))) == 0
    copies = list((tmp_path / "cache").iterdir())
    assert {path.suffix for path in copies} == {".fits"}
    assert sum(path.stat().st_size for path in copies) <= 2 * SIZE
    until(lambda: not list((tmp_path / "cache").glob("*.part")))


def test_a_copy_that_another_process_begins_when_the_name_is_free_again_is_left_to_it(tmp_path: Path) -> None:
    """Removed by the one before, it would be begun twice, and one would be given away while the other writes."""

    class Watched(type(tmp_path)):  # type: ignore[misc]
        def rename(self, target: Path) -> Path:
            done: Path = super().rename(target)
            self.write_bytes(b"of the next process")
            return done

    source = packed(tmp_path, "a")
    cache = Cache(Watched(tmp_path / "cache"), (tmp_path / "archive").resolve(), 10 * SIZE, 0)
    inflate_by(cache, source, tmp_path / "target", "eventlist")
    (begun,) = (tmp_path / "cache").glob("*.part")
    assert begun.read_bytes() == b"of the next process"
    assert (tmp_path / "target").read_bytes() == _content("a")


def test_a_job_names_the_file_of_the_archive_with_its_own_hashes_whether_a_copy_is_kept_or_not(tmp_path: Path) -> None:
    plain = tmp_path / "plain.fits"
    write(plain, Epic(rows=3000))
    source = packed(tmp_path, "P0123456789PNS003PIEVLI0000", plain.read_bytes())
    about = {"folder": str(tmp_path / "cache"), "archive": str(tmp_path / "archive"), "bytes": 10**9, "free": 0}
    used = []
    for name, job in (("without", {}), ("first", {"cache": about}), ("second", {"cache": about})):
        folder = prepare(tmp_path / name, job, eventlist=source, source_region="physical; circle(24000,27000,2500)")
        done = run(folder)
        assert done.returncode == 0, done.stderr
        (step,) = json.loads((folder / "steps.json").read_bytes())["provenance"]
        used.append(step["args"][0]["inputdata"])
    assert used[0] == used[1] == used[2]
    assert used[0]["path"] == source.name
    assert used[0]["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert used[0]["science_sha256"] == hashlib.sha256(plain.read_bytes()).hexdigest()
    assert [path.read_bytes() for path in (tmp_path / "cache").iterdir()] == [plain.read_bytes()]
