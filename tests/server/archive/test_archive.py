"""Event lists of the archive: found by id, by path and by observation, and nothing that lies outside; and names of
objects, looked up at a real server of this machine."""

from __future__ import annotations

import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from growth import Work, counted_calls, growth, require_linear
from processes import until
from uws_server.archive import index, observations
from uws_server.archive.index import Index
from uws_server.archive.observations import Archive
from uws_server.archive.resolver import Resolver
from uws_server.errors import ConfigurationError, Unavailable

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
    "text",
    [PN, PN.lower(), f" {PN}\n", f"0123456701/pps/{PN}.FTZ", f"./0123456701//pps/../pps/{PN}.FTZ", f"{PN}.FTZ",
     f"{PN}.ftz"],
)  # fmt: skip
def test_a_file_is_found_by_id_by_path_and_by_its_name_in_a_sub_folder(folder: Path, text: str) -> None:
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
    archive = Archive(folder.parent / "link")
    found = archive.find(PN)
    assert found.path.read_bytes() == b"pn"
    by_path = archive.find(found.place)
    assert {file.root for file in (found, by_path, *archive.list())} == {folder.resolve()}
    assert by_path.path == folder.resolve() / found.place


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
    assert said == f"'{PN}' names 2 files; give the path of one of {PN}.fits, 0123456701/pps/{PN}.FTZ" or (
        said == f"'{PN}' names 2 files; give the path of one of 0123456701/pps/{PN}.FTZ, {PN}.fits"
    )


def test_the_name_of_files_in_several_sub_folders_is_answered_with_their_paths(folder: Path) -> None:
    for place in ("a", "b"):
        (folder / place).mkdir()
        (folder / place / "same.fits").write_bytes(b"")
    (folder / "b" / "same.fits.gz").write_bytes(b"")
    assert Archive(folder).find("same.fits.gz").place == "b/same.fits.gz"
    assert sorted(refusal(Archive(folder), "same.fits").partition("one of ")[2].split(", ")) == [
        "a/same.fits", "b/same.fits",
    ]  # fmt: skip


def test_a_slip_is_answered_with_the_nearest_id(folder: Path) -> None:
    assert refusal(Archive(folder), PN.replace("PNS", "PNX")).endswith(f"did you mean {PN}?")


def test_a_new_file_is_found_and_a_removed_one_is_not(folder: Path) -> None:
    archive = Archive(folder)
    assert archive.find("chandra").id == "chandra"
    (folder / "chandra.evt.gz").unlink()
    assert "neither" in refusal(archive, "chandra")
    (folder / "new.fits").write_bytes(b"1")
    assert archive.find("new.fits").id == "new"

    def known() -> bool:
        try:
            return archive.find("new").place == "new.fits"
        except ValueError:
            return False

    until(known, what="a new file is found by its id")


def test_thousands_of_files_of_one_id_cost_no_more_each_than_a_few(tmp_path: Path) -> None:
    def looking(count: int) -> Work:
        folder = tmp_path / str(count)
        folder.mkdir()
        for number in range(count):
            (folder / f"events.{number}.fits").touch()

        def look() -> None:
            assert f"names {count} files" in refusal(Archive(folder), "events")

        return look

    require_linear(looking, 500)


def filled(folder: Path, count: int) -> Path:
    """A folder with so many event lists, 50 to an observation, that was made a while ago."""
    for number in range(count):
        place = folder / f"{number // 50:010}" / f"P{number // 50:010}PNS{number % 50:03}PIEVLI0000.FTZ"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    for path in (folder, *folder.iterdir()):
        os.utime(path, (1e9, 1e9))
    return folder


def test_an_id_that_is_not_there_costs_the_same_in_a_large_archive(tmp_path: Path) -> None:
    def asking(count: int) -> Work:
        archive = Archive(filled(tmp_path / str(count), count))
        archive.list()

        def ask() -> None:
            assert refusal(archive, "P0000000001PNX003PIEVLI0000").endswith("did you mean P0000000001PNS003PIEVLI0000?")
            with pytest.raises(ValueError, match=r"neither an observation nor .*; did you mean 00000000"):
                archive.observation("000000001")

        return ask

    assert growth(asking, 500) < 3


def test_no_request_reads_the_folder_itself(tmp_path: Path) -> None:
    archive = Archive(filled(tmp_path / "archive", 100))
    with counted_calls() as calls:
        assert archive.find("P0000000001PNS003PIEVLI0000").path.is_file()
        refusal(archive, "P0000000001PNX003PIEVLI0000")
        assert len(archive.list()) == archive.count() == 100
    assert not calls["scandir"]
    assert not calls["walk"]


def test_only_a_folder_that_changed_is_read_again(tmp_path: Path) -> None:
    folder = filled(tmp_path / "archive", 500)
    before = index.read(folder, Index())
    with counted_calls() as calls:
        assert index.read(folder, before) is before
    assert not calls["scandir"]
    (folder / "0000000003/new.fits").touch()
    (folder / "0000000004/P0000000004PNS001PIEVLI0000.FTZ").unlink()
    with counted_calls() as calls:
        after = index.read(folder, before)
    assert calls["scandir"] == 2
    assert set(after.places) - set(before.places) == {"0000000003/new.fits"}
    assert set(before.places) - set(after.places) == {"0000000004/P0000000004PNS001PIEVLI0000.FTZ"}
    shutil.rmtree(folder / "0000000004")
    assert len(index.read(folder, after).places) == 451


def test_a_file_that_comes_right_after_a_look_is_found_by_the_next(tmp_path: Path) -> None:
    """The clock of a file system may be so coarse that the folder has the same time of change before and after."""
    before = index.read(tmp_path, Index())
    changed = tmp_path.stat().st_mtime_ns
    (tmp_path / "new.fits").touch()
    os.utime(tmp_path, ns=(changed, changed))
    assert list(index.read(tmp_path, before).places) == ["new.fits"]


@pytest.mark.parametrize("slip", ["P0123456701PNS003PIEVLI000", f"{PN}0", "0123456701PNS003PIEVLI0000", f"x{PN}",
                                  "P0123456701PSN003PIEVLI0000", "p0123456701pns003pievli0001",
                                  "P0123456701PNS003EVLI0000"])  # fmt: skip
def test_whatever_the_slip_the_nearest_id_is_told(tmp_path: Path, slip: str) -> None:
    (filled(tmp_path, 1000) / f"{PN}.FTZ").touch()
    assert refusal(Archive(tmp_path), slip).endswith(f"did you mean {PN}?")


def test_as_long_as_the_folder_was_never_read_a_path_is_found_and_an_id_is_asked_for_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fifo = folder.parent / "stands"
    os.mkfifo(fifo)
    read = index.read

    def waiting(*arguments: Any) -> Index:
        fifo.read_bytes()  # until the test lets it go on
        return read(*arguments)

    monkeypatch.setattr(index, "read", waiting)
    monkeypatch.setattr(observations, "_FIRST_WAIT_S", 0.01)
    archive = Archive(folder)
    archive.prepare()
    assert archive.find("chandra.evt.gz").id == "chandra"
    assert archive.first(10) == ()
    with pytest.raises(Unavailable, match="try again in a moment, or give the path"):
        archive.find("chandra")
    fifo.write_bytes(b"go")
    monkeypatch.setattr(observations, "_FIRST_WAIT_S", 300)
    assert archive.find("chandra").id == "chandra"


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


# --- observations ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "observation"),
    [
        ("P0693760101PNS003PIEVLI0000.FTZ", "0693760101"),
        ("P0693760101M1S001MIEVLI0000.FTZ", "0693760101"),
        ("P0693760101M2U002MIEVLI0000.FTZ", "0693760101"),
        ("P0124710801PNS003TIEVLI0000.fits.gz", "0124710801"),
        ("acisf10027N003_evt2.fits.gz", "10027"),
        ("acisf10027_repro_evt2.fits", "10027"),
        ("nu30101031002A01_cl.evt.gz", "30101031002"),
        ("ni1013010110_0mpu7_cl.evt.gz", "1013010110"),
        ("P0693760101PNX000FBKTSR0000.FTZ", None),  # a light curve
        ("P0693760101R1S004EVENLI0000.FTZ", None),  # of a grating
        ("P0693760101EPX000OIMAGE8000.FTZ", None),  # an image
        ("P069376010PNS003PIEVLI0000.FTZ", None),
        ("nu30101031002A01_uf.evt.gz", None),
        ("acisf10027N003_evt1.fits.gz", None),
    ],
)
def test_the_name_of_an_event_list_says_its_observation(tmp_path: Path, name: str, observation: str | None) -> None:
    (tmp_path / name).write_bytes(b"1")
    archive = Archive(tmp_path)
    assert {key: [file.place for file in files] for key, files in archive.observations().items()} == (
        {observation: [name]} if observation else {}
    )
    if observation:
        assert [file.path for file in archive.observation(observation)] == [tmp_path / name]


def test_an_observation_has_its_files_by_place_wherever_they_lie(tmp_path: Path) -> None:
    for place in (
        "b/P0693760101PNS003PIEVLI0000.FTZ",
        "a/P0693760101M1S001MIEVLI0000.FTZ",
        "P0000000001PNS003PIEVLI0000.FTZ",
    ):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_bytes(b"1")
    archive = Archive(tmp_path)
    assert [file.place[:1] for file in archive.observation(" 0693760101\n")] == ["a", "b"]
    (tmp_path / "a/P0693760101M1S001MIEVLI0000.FTZ").unlink()
    assert [file.place[:1] for file in archive.observation("0693760101")] == ["b"]


def test_an_event_list_that_is_there_twice_is_not_taken_twice(folder: Path) -> None:
    (folder / f"{PN}.fits").write_bytes(b"again")
    with pytest.raises(ValueError, match=r"has one event list twice, 0123456701/pps/.* and P.*give the paths instead"):
        Archive(folder).observation("0123456701")


@pytest.mark.parametrize("text", ["0123456702", "", "x" * 100_000, "../0123456701", "0123456701\0"])
def test_what_is_no_observation_is_told(folder: Path, text: str) -> None:
    archive = Archive(folder)
    with pytest.raises(ValueError, match="is neither an observation nor an event list of the archive") as caught:
        archive.observation(text)
    assert len(str(caught.value)) < 600
    with pytest.raises(ValueError, match="this server has no archive"):
        Archive(None).observation("0123456701")


# --- names of objects --------------------------------------------------------------------------------------

SESAME = """# M 82 #Q1234
#=Sc=Simbad (CDS, via client/server):    1     0ms (from cache)
%@ 1575544
%C.0 AGN
%J 148.96845833 +69.67970278 = 09 55 52.43 +69 40 46.9
%J.E [~ ~ 0] C 2006AJ....131.1163S
"""
XML = "<Sesame><Target><name>M 82</name><Resolver><jradeg>148.96845833</jradeg>\n<jdedeg>+69.67970278</jdedeg>"
ANSWERS = {"M 82": SESAME, "xml": XML, "none": "# none #Q1\n#!SIMBAD: No object found\n", "junk": "%J here there ="}


@pytest.fixture(scope="module")
def names() -> Iterator[tuple[str, list[str]]]:
    """The address of a service like Sesame, and the names that it was asked for."""
    asked: list[str] = []

    class Service(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(unquote(self.path.partition("?")[2]))
            self.send_response(200 if asked[-1] in ANSWERS else 500)
            self.end_headers()
            self.wfile.write(ANSWERS.get(asked[-1], "").encode())

        def log_message(self, *_: object) -> None:
            """Tests print nothing."""

    server = http.server.HTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/-oI/SNV?{{name}}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_name_is_looked_up_once(names: tuple[str, list[str]]) -> None:
    resolver = Resolver(names[0])
    for name in ("M 82", "m  82", " M 82 "):
        assert resolver(name) == (148.96845833, 69.67970278)
    assert resolver("xml") == (148.96845833, 69.67970278)
    assert names[1] == ["M 82", "xml"]


@pytest.mark.parametrize("address", ["https://x.org/", "file:///{name}", "{name}"])
def test_an_address_that_looks_nothing_up_is_refused_at_the_start(address: str) -> None:
    with pytest.raises(ConfigurationError, match=r"an http or https URL with \{name\} in it is expected"):
        Resolver(address)


def test_a_name_that_nobody_knows_is_told(names: tuple[str, list[str]]) -> None:
    resolver = Resolver(names[0])
    for name in ("none", "junk"):
        with pytest.raises(ValueError, match=f"'{name}' is not a position, nor the name of an object"):
            resolver(name)
    with pytest.raises(ValueError, match="'a&b=c' cannot be looked up now: the service does not answer"):
        resolver("a&b=c")
    assert names[1][-1] == "a&b=c"
    with pytest.raises(ValueError, match="cannot be looked up now"):
        Resolver("http://127.0.0.1:9/{name}")("M 82")
