"""The kept files of definitions: named by what is in them, never changed, whoever keeps them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Collection
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processes import until
from uws_server.errors import DefinitionError, NotFound
from uws_server.storage.revisions import MOST_BYTES, MOST_FILES, Revisions, digest_of, read_files

FILES = {"job.json": b"{}", "run.sh": b"#!/bin/bash\ntrue\n", "data/table.txt": b"1 2\n"}
NAMES = st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="/\\"), min_size=1, max_size=12)


@pytest.fixture
def revisions(tmp_path: Path) -> Revisions:
    return Revisions(tmp_path / "data")


def test_what_is_kept_comes_back(revisions: Revisions) -> None:
    digest = revisions.keep(FILES)
    assert revisions.files(digest) == FILES
    assert revisions.path(digest) == revisions.folder / digest
    assert (revisions.path(digest) / "data" / "table.txt").read_bytes() == b"1 2\n"
    assert Revisions(revisions.folder.parent).files(digest) == FILES


def test_the_digest_is_the_one_that_the_text_says(revisions: Revisions) -> None:
    """Length, name, length, content of each file in the order of the names: reckoned here without our code."""
    text = b"14:data/table.txt4:1 2\n" + b"8:job.json2:{}" + b"6:run.sh17:#!/bin/bash\ntrue\n"
    assert revisions.keep(FILES) == hashlib.sha256(text).hexdigest()


@given(st.dictionaries(NAMES, st.binary(max_size=20), max_size=4), st.dictionaries(NAMES, st.binary(max_size=20)))
@settings(max_examples=200, deadline=None)
def test_other_files_have_another_digest(one: dict[str, bytes], other: dict[str, bytes]) -> None:
    assert (digest_of(one) == digest_of(other)) == (one == other)
    assert digest_of(one) == digest_of(dict(reversed(list(one.items()))))


def test_nothing_of_it_can_be_written_by_mistake(revisions: Revisions) -> None:
    place = revisions.path(revisions.keep(FILES))
    modes = {path.relative_to(place).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in place.rglob("*")}
    assert modes == {"job.json": 0o444, "run.sh": 0o555, "data": 0o555, "data/table.txt": 0o444}
    assert stat.S_IMODE(place.stat().st_mode) == 0o555


def test_the_same_files_are_kept_once_by_many_at_once(tmp_path: Path) -> None:
    gate, digests = threading.Barrier(8), []

    def keep() -> None:
        revisions = Revisions(tmp_path)
        gate.wait()
        digests.append(revisions.keep(FILES))

    threads = [threading.Thread(target=keep) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert digests == [digest_of(FILES)] * 8
    assert [path.name for path in (tmp_path / "definitions").iterdir()] == [digest_of(FILES)]
    assert Revisions(tmp_path).files(digest_of(FILES)) == FILES


def test_a_server_killed_while_it_writes_leaves_no_half_revision(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from uws_server.storage.revisions import Revisions;"
        "r = Revisions(Path(sys.argv[1])); Path.rename = lambda *a: os._exit(9);"
        "r.keep({'job.json': b'{}', 'data/x': b'1'})"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)])
    assert done.returncode == 9
    (left,) = (tmp_path / "definitions").iterdir()
    files = {"job.json": b"{}", "data/x": b"1"}
    again = Revisions(tmp_path)
    assert left.is_dir(), "it may be another server's that still writes"
    assert again.files(again.keep(files)) == files
    os.utime(left, (0, 0))
    assert [path.name for path in Revisions(tmp_path).folder.iterdir()] == [digest_of(files)]


LEADING_ELSEWHERE = ("", ".", "..", "/etc/passwd", "../up", "a/../../up", "a//b", "a/", "./a", "a\0b", "a\nb", "a\\b")


@pytest.mark.parametrize("name", [*LEADING_ELSEWHERE, "x" * 201, "/".join("abcdefghijklmnopqrstuv"), "\udc80"])
def test_a_name_that_leads_elsewhere_is_refused(revisions: Revisions, name: str) -> None:
    with pytest.raises(DefinitionError, match="no name of a file below a folder"):
        revisions.keep({**FILES, name: b""})
    assert list(revisions.folder.iterdir()) == []


def test_too_much_is_refused_with_the_figures(revisions: Revisions) -> None:
    with pytest.raises(DefinitionError, match=r"1,001 files came, at most 1,000 are allowed"):
        revisions.keep({f"f{i}": b"" for i in range(MOST_FILES + 1)})
    with pytest.raises(DefinitionError, match=r"50\.0 MB came, at most 50 MB are allowed in all"):
        revisions.keep({"a": bytes(MOST_BYTES), "b": b"x"})
    assert list(revisions.folder.iterdir()) == []


@pytest.mark.parametrize("digest", ["0" * 64, "", "..", "../jobs", "A" * 64, "0" * 63, "\ud800"])
def test_what_is_not_kept_is_not_found(revisions: Revisions, digest: str) -> None:
    with pytest.raises(NotFound):
        revisions.path(digest)
    with pytest.raises(NotFound):
        revisions.files(digest)
    assert not revisions.has(digest)


def test_hidden_files_backups_and_what_python_compiled_are_no_part_of_it(tmp_path: Path) -> None:
    for name in (".git/config", "__pycache__/run.pyc", "lib/__pycache__/a.pyc", "run.py~", ".run.py.swp", "lib/a.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    assert read_files(tmp_path) == {"lib/a.py": b"x"}


def test_links_stay_inside(tmp_path: Path) -> None:
    place, secret = tmp_path / "d", tmp_path / "secret"
    place.mkdir()
    secret.write_text("secret")
    (place / "a").write_text("a")
    (place / "inside").symlink_to("a")
    assert read_files(place) == {"a": b"a", "inside": b"a"}
    (tmp_path / "linked").symlink_to(place)
    assert read_files(tmp_path / "linked") == {"a": b"a", "inside": b"a"}, "the operator's own link to the folder"
    for name, target, said in (
        ("out", secret, "d/out: a link out of the definition's folder"),
        ("folder", tmp_path, "d/folder: a link to a folder"),
        ("nothing", tmp_path / "none", "d/nothing: a link out"),
        ("dangling", Path("none"), "d/dangling: cannot be read, or a link to nothing"),
        ("round", Path("round"), "d/round: cannot be read, or a link to nothing"),
    ):
        (place / name).symlink_to(target)
        with pytest.raises(DefinitionError, match=said):
            read_files(place)
        (place / name).unlink()
    os.mkfifo(place / "pipe")
    with pytest.raises(DefinitionError, match="d/pipe: no plain file"):
        read_files(place)


# --- what was only tried goes --------------------------------------------------------------------------


def age(revisions: Revisions, digest: str, seconds: float = 7200) -> None:
    then = time.time() - seconds
    os.utime(revisions.path(digest), (then, then))


def test_only_old_files_that_nothing_refers_to_are_swept(revisions: Revisions) -> None:
    tried, used, fresh = (revisions.keep(FILES | {"run.sh": text}) for text in (b"1", b"2", b"3"))
    for digest in (tried, used):
        age(revisions, digest)
    asked: list[str] = []

    def unused(digests: Collection[str]) -> set[str]:
        asked.extend(digests)
        return set(digests) - {used}

    assert revisions.sweep(unused, 3600) == 1
    assert sorted(asked) == sorted([tried, used]), "what was just kept is not asked for"
    assert sorted(path.name for path in revisions.folder.iterdir()) == sorted([used, fresh])
    assert revisions.keep(FILES | {"run.sh": b"1"}) == tried
    assert revisions.files(tried)["run.sh"] == b"1"


def test_what_is_kept_again_is_as_fresh_as_new(revisions: Revisions) -> None:
    digest = revisions.keep(FILES)
    age(revisions, digest)
    assert Revisions(revisions.folder.parent).keep(FILES) == digest
    assert revisions.sweep(set, 3600) == 0
    assert revisions.files(digest) == FILES


def test_what_another_server_keeps_again_while_it_is_swept_stays(revisions: Revisions) -> None:
    digest = revisions.keep(FILES)
    age(revisions, digest)

    def unused(digests: Collection[str]) -> set[str]:
        revisions.keep(FILES)  # by the time the database answers
        return set(digests)

    assert revisions.sweep(unused, 3600) == 0
    assert revisions.files(digest) == FILES
    assert [path.name for path in revisions.folder.iterdir()] == [digest]


def test_servers_that_keep_and_sweep_at_once_lose_nothing(tmp_path: Path) -> None:
    keeping, done = Revisions(tmp_path), threading.Event()

    def sweep() -> None:
        while not done.is_set():
            Revisions(tmp_path).sweep(set, 3600)

    sweeper = threading.Thread(target=sweep)
    sweeper.start()
    try:
        for _ in range(30):
            with contextlib.suppress(NotFound, FileNotFoundError):  # being looked at, and put back
                age(keeping, keeping.keep(FILES))
            keeping.keep(FILES)
            until(lambda: keeping.has(digest_of(FILES)))
            assert keeping.files(digest_of(FILES)) == FILES
    finally:
        done.set()
        sweeper.join()
