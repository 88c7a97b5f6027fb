"""Event lists of the archive: found by id and by path, and nothing that lies outside."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from uws_server.archive.observations import Archive

PN = "P0123456701PNS003PIEVLI0000"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    archive = tmp_path / "archive"
    (archive / "0123456701/pps").mkdir(parents=True)
    (archive / f"0123456701/pps/{PN}.FTZ").write_bytes(b"pn")
    (archive / "chandra.evt.gz").write_bytes(b"acis")
    (archive / "notes.txt").write_bytes(b"text")
    (tmp_path / "secret.fits").write_bytes(b"secret")
    (tmp_path / "archive-two").mkdir()
    (tmp_path / "archive-two/other.fits").write_bytes(b"secret")
    return archive


def refusal(archive: Archive, text: str) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        archive.find(text)
    return str(caught.value)


@pytest.mark.parametrize(
    "text", [PN, PN.lower(), f" {PN}\n", f"0123456701/pps/{PN}.FTZ", f"./0123456701//pps/../pps/{PN}.FTZ"]
)
def test_a_file_is_found_by_id_and_by_path(folder: Path, text: str) -> None:
    found = Archive(folder).find(text)
    assert (found.id, found.place) == (PN, f"0123456701/pps/{PN}.FTZ")
    assert found.path == folder / found.place


def test_all_files_are_listed_by_place(folder: Path) -> None:
    assert [(file.place, file.id) for file in Archive(folder).list()] == [
        (f"0123456701/pps/{PN}.FTZ", PN),
        ("chandra.evt.gz", "chandra"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "../secret.fits",
        "0123456701/../../secret.fits",
        "../archive-two/other.fits",
        ".",
        "..",
        "/",
        "0123456701",
        "a" * 999,
        "~/x",
    ],
)
def test_a_path_never_leads_out(folder: Path, text: str) -> None:
    said = refusal(Archive(folder), text)
    assert "nor an id or a path below the folder of the archive" in said
    assert str(folder) not in said


def test_an_absolute_path_is_taken_only_below_the_folder(folder: Path) -> None:
    assert Archive(folder).find(str(folder / "chandra.evt.gz")).place == "chandra.evt.gz"
    assert "neither" in refusal(Archive(folder), str(folder.parent / "secret.fits"))


def test_a_link_never_leads_out_by_path_or_id(folder: Path) -> None:
    (folder / "out.fits").symlink_to("../secret.fits")
    (folder / "outside").symlink_to("..")
    (folder / "dead.fits").symlink_to("gone.fits")
    (folder / "ring.fits").symlink_to("ring.fits")
    (folder / "inside.fits").symlink_to("chandra.evt.gz")
    archive = Archive(folder)
    for text in ("out.fits", "out", "outside/secret.fits", "secret", "dead.fits", "dead", "ring.fits", "ring"):
        assert "neither" in refusal(archive, text)
    assert archive.find("inside").path.read_bytes() == b"acis"
    assert "out" not in {file.id for file in archive.list()}


def test_the_folder_itself_may_be_a_link(folder: Path) -> None:
    (folder.parent / "link").symlink_to(folder)
    assert Archive(folder.parent / "link").find(PN).path.read_bytes() == b"pn"


def test_what_is_no_plain_file_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe.fits")
    archive = Archive(folder)
    for text in ("pipe.fits", "pipe"):
        assert "neither" in refusal(archive, text)


def test_names_that_no_document_can_hold_are_left_out(folder: Path) -> None:
    (folder / os.fsdecode(b"\xff.fits")).write_bytes(b"1")
    (folder / "a\x01.fits").write_bytes(b"1")
    archive = Archive(folder)
    assert len(archive.list()) == 2
    assert "neither" in refusal(archive, "a\x01.fits")


@pytest.mark.parametrize("text", ["a\0b", "a" * 1001])
def test_what_is_no_path_is_told(folder: Path, text: str) -> None:
    assert "NUL character or more than 1000" in refusal(Archive(folder), text)


def test_an_id_of_several_files_is_answered_with_their_paths(folder: Path) -> None:
    (folder / f"{PN}.fits").write_bytes(b"again")
    said = refusal(Archive(folder), PN)
    assert said == f"'{PN}' is the id of 2 files; give the path of one of {PN}.fits, 0123456701/pps/{PN}.FTZ" or (
        said == f"'{PN}' is the id of 2 files; give the path of one of 0123456701/pps/{PN}.FTZ, {PN}.fits"
    )


def test_a_slip_is_answered_with_the_nearest_id(folder: Path) -> None:
    assert refusal(Archive(folder), PN.replace("PNS", "PNX")).endswith(f"did you mean {PN}?")


def test_a_new_file_is_found_and_a_removed_one_is_not(folder: Path) -> None:
    archive = Archive(folder)
    assert archive.find("chandra").id == "chandra"
    (folder / "chandra.evt.gz").unlink()
    assert "neither" in refusal(archive, "chandra")
    (folder / "new.fits").write_bytes(b"1")
    assert archive.find("new.fits").id == "new"
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            assert archive.find("new").place == "new.fits"
            return
        except ValueError:
            time.sleep(0.1)
    raise AssertionError("a new file was not found by its id within 5 s")


def test_thousands_of_files_of_one_id_are_read_at_once(tmp_path: Path) -> None:
    for number in range(1000):
        (tmp_path / f"events.{number}.fits").touch()
    began = time.process_time()
    assert "is the id of 1000 files" in refusal(Archive(tmp_path), "events")
    assert time.process_time() - began < 1


def test_a_server_without_archive_says_so() -> None:
    assert "this server has none; upload the file" in refusal(Archive(None), PN)
    assert Archive(None).list() == ()


pieces = st.sampled_from(
    ["..", ".", "", "0123456701", "pps", f"{PN}.FTZ", "secret.fits", "archive-two", "archive", "~", "\u202e", "é"]
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=20) | st.lists(pieces, max_size=8).map("/".join))
def test_any_text_is_a_file_inside_or_a_sentence(folder: Path, text: str) -> None:
    try:
        found = Archive(folder).find(text)
    except ValueError as error:
        assert str(error)
    else:
        assert found.path.resolve().is_relative_to(folder.resolve())
        assert found.path.read_bytes() != b"secret"
