"""The form that is made from a definition: a fitting field for each type, a message at its field, several values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from astropy.io import fits
from lxml import etree

from pagereader import AS_BROWSER, Page, create, token_of, visit, wait_for_end
from serving import Served, running_server
from uwsjobs import UWS, define

PARAMETERS: list[dict[str, Any]] = [
    {"name": "title", "type": "string", "required": True, "pattern": "[A-Z].*", "annotation": "a capital first"},
    {"name": "quick", "type": "boolean", "default": True},
    {"name": "bins", "type": "integer", "min": 1, "max": 100, "step": 3, "default": 10},
    {"name": "radius", "type": "float", "unit": "arcsec", "min": 1, "max": 600, "default": 40, "editable": True},
    {"name": "camera", "type": "choice", "options": ["pn", "MOS1", "MOS2"]},
    {"name": "cameras", "type": "choice", "options": ["pn", "MOS1", "MOS2"], "max_values": 3,
     "default": ["pn", "MOS2"]},
    {"name": "begin", "type": "datetime"},
    {"name": "centre", "type": "position"},
    {"name": "times", "type": "time_range", "max_values": 5},
    {"name": "notes", "type": "string", "max_values": 4},
    {"name": "lists", "type": "eventlist", "max_values": 3},
    {"name": "table", "type": "url", "media_type": "application/fits"},
    {"name": "fields", "type": "observation", "max_values": 10},
]  # fmt: skip


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with one definition that has a parameter of each kind, and an archive."""
    folder = tmp_path_factory.mktemp("definitions")
    define(
        folder,
        "all",
        "cp parameters.json results/\n",
        version="2",
        title="Everything",
        description="Takes *every* kind of value.",
        documentation="https://example.org/all",
        contact={"name": "Ann", "email": "ann@example.org"},
        parameters=PARAMETERS,
        results=[{"name": "copy", "file": "parameters.json", "mime": "application/json"}],
    )
    archive = tmp_path_factory.mktemp("archive")
    for name in ("P0123456701PNS003PIEVLI0000.FITS", "P0123456701M1S001MIEVLI0000.FITS", "other.fits"):
        fits.PrimaryHDU().writeto(archive / name)
    data = tmp_path_factory.mktemp("data")
    with running_server(data, "--archive", str(archive), definitions=folder) as server:
        yield server


def form(served: Served, query: str = "") -> Page:
    return visit(f"{served.url}/new/all{query}")


def send(page: Page, *pairs: tuple[str, str], files: tuple[tuple[str, tuple[str, bytes]], ...] = ()) -> Page:
    """POST what a browser would, several controls of one name among it."""
    parts = [(name, (None, text)) for name, text in (("_token", token_of(page)), *pairs)]
    address = page.url.partition("?")[0]
    return Page(page.session, page.session.post(address, files=[*parts, *files], headers=AS_BROWSER, timeout=300))


def message(page: Page, name: str) -> str:
    return page.text(f"//p[@id='p-{name}-problem']")


def values_of(served: Served, page: Page, name: str) -> list[str]:
    job = page.url.rsplit("/", 1)[1]
    tree = etree.fromstring(requests.get(f"{served.url}/rest/all/{job}/parameters", timeout=300).content)
    return [element.text or "" for element in tree.iterfind(f"{UWS}parameter[@id='{name}']")]


def test_each_type_has_a_field_that_fits(served: Served) -> None:
    page = form(served)
    kinds = {name: (page.field(name).tag, page.field(name).get("type")) for name in ("title", "begin", "table")}
    assert kinds == {"title": ("input", "text"), "begin": ("input", "datetime-local"), "table": ("input", "url")}
    assert page.field("camera").tag == "select"
    assert [option.text for option in page.field("camera")] == ["(none)", "pn", "MOS1", "MOS2"]
    boxes = page.all("//input[@type='checkbox' and @name='cameras']")
    assert [(box.get("value"), "checked" in box.attrib) for box in boxes] == [
        ("pn", True), ("MOS1", False), ("MOS2", True),
    ]  # fmt: skip
    assert {page.field(name).tag for name in ("times", "notes", "lists", "fields")} == {"textarea"}
    assert "multiple" in page.all("//input[@type='file' and @name='lists']")[0].attrib
    assert page.text("//p[@id='p-bins-about']") == "From 1 to 100. In steps of 3."
    assert "arcsec" in page.text("//div[input[@id='p-radius']]")
    assert "Up to 3 values" in page.text("//p[@id='p-lists-about']")
    assert page.all("//div[@class='lead']//em")[0].text == "every", "the description is Markdown"
    for address in ("mailto:ann@example.org", "https://example.org/all"):
        assert page.all(f"//main//a[@href='{address}']")
    for label in page.all("//form[contains(@class, 'job')]//label[@for]"):
        assert page.all(f"//*[@id='{label.get('for')}']"), f"the label {label.text_content()} is for nothing"


def test_every_mistake_stands_at_its_field_and_what_was_typed_stays(served: Served) -> None:
    page = send(
        form(served),
        ("title", "small"), ("bins", "12"), ("radius", "10 keV"), ("camera", "RGS"), ("begin", "tomorrow"),
        ("centre", "148 99"), ("times", "2020-01-02 2020-01-01"), ("cameras", ""), ("fields", "0000000000"),
        ("table", "ftp://example.org/x"), ("notes", "a\nb\nc\nd\ne"), ("lists", "nowhere"),
    )  # fmt: skip
    assert page.status == 400
    assert "a capital first" in message(page, "title")
    assert "10" in message(page, "bins") and "13" in message(page, "bins"), "the nearest allowed values are named"
    assert "arcsec" in message(page, "radius")
    for name in ("camera", "begin", "centre", "times", "fields", "table", "notes", "lists"):
        assert message(page, name)
        assert page.field(name).get("aria-invalid") == "true"
    assert len(page.all("//section[@id='summary']//li")) == 11
    assert page.field("begin").get("value") == "tomorrow", "a control for times would drop it"
    assert page.field("notes").text.strip().splitlines() == ["a", "b", "c", "d", "e"]
    assert page.field("radius").get("value") == "10 keV"


def test_several_values_are_sent_kept_and_offered_again(served: Served) -> None:
    made = send(
        form(served),
        ("title", "Mine"), ("cameras", ""), ("cameras", "MOS1"), ("cameras", "MOS2"), ("begin", "2026-11-20T12:00"),
        ("centre", "09:55:53.3 +69:39:04"), ("notes", "one\n\n two\nthree"), ("fields", "0123456701"),
        ("times", "2020-01-01 / 2020-01-02\n2021-01-01T00:00:00 / 2021-01-02"), ("lists", "other"), ("PHASE", "RUN"),
        files=(("lists", ("mine.fits", fits_bytes())), ("lists", ("also.fits", fits_bytes()))),
    )  # fmt: skip
    assert made.status == 200, made.text()
    assert values_of(served, made, "cameras") == ["MOS1", "MOS2"]
    assert values_of(served, made, "notes") == ["one", "two", "three"]
    assert values_of(served, made, "begin") == ["2026-11-20T12:00:00Z"]
    assert len(values_of(served, made, "times")) == 2
    assert values_of(served, made, "fields") == ["0123456701"]
    lists = values_of(served, made, "lists")
    assert lists[0] == "other.fits" and len(lists) == 3 and all("/parameters/lists/" in text for text in lists[1:])
    wait_for_end(made)
    told = requests.get(f"{served.url}/rest/all/{made.url.rsplit('/', 1)[1]}/results/copy", timeout=300).json()
    given = {name: entry["value"] for name, entry in told["parameters"].items()}
    assert [Path(path).name[:14] for path in given["fields"]] == ["P0123456701M1S", "P0123456701PNS"], "both its lists"
    assert (given["cameras"], given["bins"], len(given["lists"])) == (["MOS1", "MOS2"], 10, 3)
    again = form(served, f"?_from={made.url.rsplit('/', 1)[1]}")
    assert again.field("notes").text.strip().splitlines() == ["one", "two", "three"]
    assert again.field("begin").get("value") == "2026-11-20T12:00:00"
    assert [box.get("value") for box in again.all("//input[@name='cameras' and @checked]")] == ["MOS1", "MOS2"]
    assert again.field("fields").text.strip() == "0123456701", "the observation, not its event lists"
    assert "mine.fits, also.fits" in again.text("//label[@for='p-lists-keep']")
    kept = send(again, ("title", "Mine"), ("_earlier", made.url.rsplit("/", 1)[1]), ("_keep.lists", "yes"))
    assert len(values_of(served, kept, "lists")) == 2


def test_lines_typed_in_a_browser_are_those_that_a_program_sends(tmp_path: Path) -> None:
    definitions, text = tmp_path / "definitions", "circle(1, 2, 3)\ncircle(4, 5, 6)"
    define(definitions, "lines", 'printf %s "$note" > note.txt\n',
           parameters=[{"name": "note", "type": "string", "editable": True}],
           results=[{"name": "copy", "file": "note.txt", "mime": "text/plain"}])  # fmt: skip
    with running_server(tmp_path / "data", definitions=definitions) as server:
        typed = wait_for_end(create(server, "lines", note=text.replace("\n", "\r\n")))
        sent = requests.post(f"{server.url}/rest/lines", data={"note": text, "PHASE": "RUN"}, timeout=300).url
        wait_for_end(visit(server.url + sent[sent.index("/rest/") :].replace("/rest/lines", "/jobs")))
        results = [f"{server.url}/rest/lines/{url.rpartition('/')[2]}/results/copy" for url in (typed.url, sent)]
        assert [requests.get(address, timeout=300).content for address in results] == [text.encode()] * 2
        both = visit(f"{typed.url}/compare/{sent.rpartition('/')[2]}")
        assert both.text("//p[@class='lead']") == "No parameter differs."
        assert "identical" in both.text("//article//h3")
        form = visit(f"{server.url}/rerun?job={typed.url.rpartition('/')[2]}", typed.session)
        again = form.send("/rerun", {"_do": "run"})
        both = visit(f"{again.url}/compare/{typed.url.rpartition('/')[2]}")
        assert both.text("//p[@class='lead']").startswith("No parameter differs.")


def test_a_link_fills_the_form(served: Served) -> None:
    page = form(served, "?title=Linked&cameras=MOS1&bins=13&NOTES=a&notes=b&begin=MJD+53000&nonsense=1")
    assert page.field("title").get("value") == "Linked"
    assert page.field("bins").get("value") == "13"
    assert [box.get("value") for box in page.all("//input[@name='cameras' and @checked]")] == ["MOS1"]
    assert (page.field("begin").get("type"), page.field("begin").get("value")) == ("text", "MJD 53000")


def test_the_page_of_the_definition_tells_defaults_options_and_how_many(served: Served) -> None:
    text = visit(f"{served.url}/definitions/all").text("//tr[th='cameras']")
    assert "choice, up to 3 values; by default pn, MOS2; one of pn, MOS1, MOS2" in text


def test_the_page_of_the_definition_tells_bounds_and_what_a_rerun_may_change(served: Served) -> None:
    page = visit(f"{served.url}/definitions/all")
    assert page.text("//tr[th='bins']").endswith("From 1 to 100. In steps of 3.")
    assert page.text("//tr[th='radius']").endswith("From 1 to 600 arcsec. May be changed in a rerun.")


def fits_bytes() -> bytes:
    return bytes(fits.PrimaryHDU().header.tostring(), "ascii")


def test_who_may_not_run_a_definition_is_told_before_the_form_is_filled(tmp_path: Path) -> None:
    place = tmp_path / "definitions" / "closed"
    place.mkdir(parents=True)
    document = {"name": "closed", "version": "1", "title": "Closed", "roles": ["xmm"],
                "entry": {"type": "shell", "script": "run.sh"}}  # fmt: skip
    (place / "job.json").write_text(json.dumps(document))
    (place / "run.sh").write_text("true\n")
    with running_server(tmp_path / "data", definitions=tmp_path / "definitions") as served:
        page = visit(f"{served.url}/new/closed")
        assert page.status == 401
        assert "role xmm" in page.text()
        assert page.all("//main//form[@action='/login']"), "a way to sign in"
        for path in ("/", "/definitions", "/definitions/closed"):
            assert not visit(served.url + path).all("//a[@href='/new/closed']"), f"{path} offers what is refused"
