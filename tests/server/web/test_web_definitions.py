"""The pages of job definitions over HTTP against a real server, read as a browser without JavaScript."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from accounts import account
from checkout import ROOT
from pagereader import AS_BROWSER, Page, token_of, visit, wait_for_end
from serving import Served, running_server

SCRIPT = "mkdir -p results\necho $UWS_PARAM_text > results/out.txt\n"
HOSTILE = "<script>alert('x')</script>&amp;\""
WHO = ("nobody", "eve", "ann", "root")


@dataclass(frozen=True)
class House:
    """A server with two authors, somebody who may only run jobs, and an admin; `data` is its folder."""

    served: Served
    data: Path
    accounts: Mapping[str, tuple[str, str]]

    def visit(self, who: str, path: str) -> Page:
        session = requests.Session()
        session.auth = self.accounts.get(who)
        return visit(self.served.url + path, session)

    def drafts(self) -> list[str]:
        """The drafts there are, with their state and when they were saved, as the list tells them."""
        rows = self.visit("root", "/definitions").all("//section[@aria-labelledby='drafts-title']//tbody/tr")
        return [" ".join(row.text_content().split()) for row in rows]

    def kept(self) -> set[str]:
        """Every file of the data folder that belongs to a definition."""
        return {str(path) for path in (self.data / "definitions").rglob("*")}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    data = tmp_path_factory.mktemp("data")
    with running_server(data) as served:
        accounts = {
            "ann": account(data, "ann", "--role", "author"),
            "ben": account(data, "ben", "--role", "author"),
            "eve": account(data, "eve"),
            "root": account(data, "root", "--admin"),
        }
        yield House(served, data, accounts)


def fields(name: str, **changed: str) -> dict[str, str]:
    """What an author types for a small shell definition; keyword arguments go over it, with __ for a dot."""
    typed = {
        "name": name,
        "version": "1.0",
        "title": f"Echo of {name}",
        "entry.type": "shell",
        "entry.script": "run.sh",
        "script": SCRIPT,
        "parameters[0].name": "text",
        "parameters[0].type": "string",
        "parameters[0].default": "hello",
        "results[0].name": "out",
        "results[0].file": "out.txt",
        "results[0].mime": "text/plain",
    }
    return typed | {key.replace("__", "."): value for key, value in changed.items()}


def press(
    page: Page, do: str, values: Mapping[str, str] | None = None, files: Mapping[str, Path] | None = None
) -> Page:
    """Press a button of the editor, with these texts in its fields."""
    action = "/edit" if page.all("//form[@id='sheet' and contains(@action, '/edit')]") else "/_new"
    return page.send(action, {**(values or {}), "_do": do}, files)


def begin(house: House, name: str, who: str = "ann", **changed: str) -> Page:
    """A saved draft: the editor with it."""
    page = press(house.visit(who, "/definitions/_new"), "save", fields(name, **changed))
    assert (page.status, "/edit" in page.url) == (200, True), page.text()
    return page


def go_live(house: House, name: str, **changed: str) -> None:
    """Write a definition, ask for its validation, make it live."""
    page = house.visit("ann", f"/definitions/{name}/edit")
    page = begin(house, name, **changed) if page.status == 404 else press(page, "save", fields(name, **changed))
    asked = press(page, "request", {"_why.request": "it is ready"})
    assert "waits for an admin" in asked.text(), asked.text()
    live = press(house.visit("root", f"/definitions/{name}/edit"), "accept", {"_why.accept": "looks right"})
    assert "It is live now" in live.text(), live.text()


def typed_in(page: Page, place: str) -> str:
    """What stands in a text area, as a browser reads it."""
    return str(page.field(place).value).replace("\r\n", "\n").removeprefix("\n")


def said_at(page: Page, place: str) -> str:
    """What is said at the control of a place, as its description tells a screen reader."""
    control = page.field(place)
    assert control.get("aria-invalid") == "true", place
    told = [page.text(f"//*[@id='{part}']") for part in control.get("aria-describedby", "").split()]
    return " ".join(told)


# --- the list ------------------------------------------------------------------------------------------------


def test_the_list_is_for_everybody_and_its_buttons_for_authors(house: House) -> None:
    begin(house, "listed")
    for who in WHO:
        page = house.visit(who, "/definitions")
        assert "Test job dummy 1.0" in page.text()
        assert bool(page.all("//a[text()='New definition']")) == (who in ("ann", "root")), who
        assert ("listed" in page.text()) == (who in ("ann", "root")), who
        links = {link.text_content(): link.get("href") for link in page.all("//li[contains(., 'dummy')]//a")}
        for text in ("New job", "UWS list"):
            assert requests.get(house.served.url + links[text], timeout=300).status_code == 200
        for text, kind in (("JSON", "json"), ("WADL", "wadl"), ("VOTable", "votable")):
            assert links[text] == f"/jdl/dummy/{kind}"
    assert house.visit("nobody", "/").all("//nav//a[@href='/definitions']")
    draft = next(row for row in house.drafts() if row.startswith("listed"))
    assert draft.startswith("listed Draft ann 20")


def test_broken_definitions_are_told_to_those_who_can_mend_them(tmp_path: Path) -> None:
    (tmp_path / "definitions" / "broken").mkdir(parents=True)
    (tmp_path / "definitions" / "broken" / "job.json").write_text("{")
    with running_server(tmp_path / "data", definitions=tmp_path / "definitions") as served:
        session = requests.Session()
        for path in ("/", "/definitions"):
            assert "broken/job.json" not in visit(served.url + path).text()
        session.auth = account(tmp_path / "data", "ann", "--role", "author")
        for path in ("/", "/definitions"):
            assert "broken/job.json line 1: not JSON" in visit(served.url + path, session).text()


# --- the form without JavaScript -----------------------------------------------------------------------------


def test_rows_are_added_moved_and_removed_and_nothing_typed_is_lost(house: House) -> None:
    typed = {"title": "Half typed", "script": "\n  first line is empty\n", "readme": "# Read\n\nme",
             "control.memory": "lots", "contact.email": "nobody"}  # fmt: skip
    page = press(house.visit("ann", "/definitions/_new"), "parameters.add", typed)
    assert page.field("parameters[0].name").get("autofocus") is not None
    page = press(page, "parameters.add.eventlist", {"parameters[0].name": "first", "parameters[0].min": "a few",
                                                    "parameters[0].required": "true"})  # fmt: skip
    assert page.field("parameters[1].type").value == "eventlist"
    page = press(page, "results.add", {"parameters[1].name": "second", "parameters[1].description": "two\nlines"})
    page = press(page, "parameters.up.1", {"results[0].file": "*.fits"})
    assert [page.field(f"parameters[{i}].name").get("value") for i in (0, 1)] == ["second", "first"]
    assert page.all("//button[@value='parameters.up.0']")[0].get("autofocus") is not None
    assert "second is now number 1 of 2" in page.text("//p[@id='said']")
    assert page.field("parameters[0].description").text.strip() == "two\nlines"
    assert page.field("parameters[1].min").get("value") == "a few"
    assert page.field("parameters[1].required").get("checked") is not None
    page = press(page, "parameters.remove.0")
    assert "second removed" in page.text("//p[@id='said']")
    assert page.field("parameters[0].name").get("value") == "first"
    assert page.field("results[0].file").get("value") == "*.fits"
    for name in ("title", "control.memory", "contact.email"):
        assert page.field(name).get("value") == typed[name]
    assert typed_in(page, "script") == typed["script"]
    assert not page.all("//section[@id='summary']"), "problems were told before anybody asked"


@pytest.mark.parametrize("do", ["parameters.up.0", "parameters.down.0", "parameters.remove.7", "results.remove.x"])
def test_a_step_that_cannot_be_taken_changes_nothing(house: House, do: str) -> None:
    page = press(press(house.visit("ann", "/definitions/_new"), "parameters.add"), do, {"parameters[0].name": "only"})
    assert (page.status, page.field("parameters[0].name").get("value")) == (200, "only")


def test_the_editor_of_a_definition_without_a_draft_offers_to_begin_one(house: House) -> None:
    page = house.visit("ann", "/definitions/dummy/edit")
    assert (page.status, page.text("//h1")) == (404, "There is no draft of Test job")
    begun = page.send("/definitions/dummy/draft")
    assert (begun.status, begun.url) == (200, f"{house.served.url}/definitions/dummy/edit?said=begun")
    assert "begins with what is live" in begun.text()
    assert house.visit("ann", "/definitions/nothing/edit").status == 404
    press(begun, "discard")


def test_the_preview_is_the_form_that_users_get(house: House) -> None:
    spectrum = house.visit("ann", "/definitions/spectrum").send("/draft")
    form = house.visit("ann", "/new/spectrum")
    for control in form.all("//form[contains(@class, 'job')]//*[starts-with(@id, 'p-')]"):
        shown = spectrum.all(f"//div[@id='preview']//*[@id='{control.get('id')}']")
        assert [one.tag for one in shown] == [control.tag], control.get("id")
    press(spectrum, "discard")
    fragment = house.visit("ann", "/definitions/_new").send("/_new", fields("piece", _do="check"))
    address = fragment.all("//form[@id='sheet']")[0].get("data-preview")
    answer = fragment.session.post(
        house.served.url + address,
        data={**fields("piece"), "_token": token_of(fragment)},
        headers=AS_BROWSER,
        timeout=300,
    )
    assert answer.status_code == 200
    assert 'id="p-text"' in answer.text
    assert "<html" not in answer.text


def test_what_is_wrong_is_told_at_each_field_and_on_top(house: House) -> None:
    page = press(house.visit("ann", "/definitions/_new"), "check", fields(
        "wrong", title="", contact__email="nobody", script='echo "open\n', control__duration__max="10",
        **{"parameters[0].type": "integer", "parameters[0].default": "half", "parameters[0].min": "5",
           "parameters[0].max": "1", "results[0].mime": "text"}))  # fmt: skip
    for place, words in (
        ("title", "a title is needed"),
        ("contact.email", "'nobody' is no mail address"),
        ("control.duration.default", "at most max"),
        ("parameters[0].min", "min 5 is above max 1"),
        ("results[0].mime", "not a media type"),
        ("script", "line 1: "),
    ):
        assert words in said_at(page, place).lower(), place
    links = page.all("//section[@id='summary']//a")
    ids = {element.get("id") for element in page.all("//*[@id]")}
    assert {link.get("href")[1:] for link in links} <= ids
    assert "script, line 1" in [link.text_content() for link in links]
    page = press(page, "check", fields("wrong", **{"parameters[0].type": "integer", "parameters[0].default": "half",
                                                   "contact.email": "", "control.duration.max": "86400",
                                                   "parameters[0].min": "", "parameters[0].max": ""}))  # fmt: skip
    assert "'half' is not a whole number" in said_at(page, "parameters[0].default")


def test_a_text_that_is_no_value_is_refused_and_kept(house: House) -> None:
    page = press(house.visit("ann", "/definitions/_new"), "save", fields(
        "textual", control__memory="lots",
        **{"parameters[0].min": "a few", "parameters[0].type": "float"}))  # fmt: skip
    assert page.status == 400
    assert "Not saved" in page.text("//section[@id='summary']")
    assert "such as 2 GiB" in said_at(page, "control.memory")
    assert "a number is allowed" in said_at(page, "parameters[0].min")
    assert page.field("parameters[0].min").get("value") == "a few"
    assert not any(row.startswith("textual") for row in house.drafts())


def test_a_draft_may_be_incomplete(house: House) -> None:
    page = begin(house, "halfway", title="", script="")
    assert "2 things need a change before it can be live" in page.text()
    page = press(page, "request", {"_why.request": "please"})
    assert page.status == 400
    assert "Not requested" in page.text("//section[@id='summary']")
    assert next(row for row in house.drafts() if row.startswith("halfway")).startswith("halfway Draft")


# --- bad input -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("name", "a/b"), ("name", "../up"), ("name", ".hidden"), ("name", "_new"), ("name", "with\x01control"),
        ("name", "x" * 65), ("name", ""), ("parameters[0].name", "a/b"), ("parameters[0].name", "a.b"),
        ("parameters[0].name", "PATH"), ("parameters[0].name", "phase"), ("parameters[0].name", "LD_PRELOAD"),
        ("results[0].name", "log"), ("results[0].file", "../out.txt"), ("entry.script", "../run.sh"),
        ("entry.script", "job.json"), ("entry.script", "readme.MD"), ("entry.type", "perl"), ("title", "bell\x07"),
        ("parameters[0].default", "nul\x00"), ("script", "echo \x00"), ("readme", "escape \x1b[1m"),
    ],
)  # fmt: skip
def test_what_not_even_a_draft_may_hold_is_told_at_its_field(house: House, place: str, text: str) -> None:
    drafts, kept = house.drafts(), house.kept()
    page = press(house.visit("ann", "/definitions/_new"), "save", fields("hostile") | {place: text})
    assert page.status == 400
    assert said_at(page, place)
    assert house.drafts() == drafts
    assert house.kept() == kept


def test_enormous_forms_are_refused(house: House) -> None:
    page = house.visit("ann", "/definitions/_new")
    drafts, token = house.drafts(), token_of(page)

    def post(values: Mapping[str, str]) -> requests.Response:
        data = {"_token": token, "_do": "save", **fields("huge"), **values}
        address = f"{house.served.url}/definitions/_new"
        return page.session.post(address, data=data, headers=AS_BROWSER, timeout=300)

    rows = post({f"parameters[{i}].name": f"p{i}" for i in range(501)})
    assert (rows.status_code, "at most 500 are allowed" in rows.text) == (400, True)
    many = post({f"parameters[{i}].name": f"p{i}" for i in range(100_000)})
    assert (many.status_code, "more than 10,000 fields" in many.text) in ((400, True), (413, False))
    assert post({"script": "x" * 4_100_000}).status_code == 413
    long = post({"script": "# " + "x" * 1_100_000})
    assert (long.status_code, "at most 1,000,000 are allowed" in long.text) == (400, True)
    assert post({"parameters[99999999].name": "far", "parameters[-1].name": "x", "parameters[0].__class__": "x"}).ok
    assert [row for row in house.drafts() if not row.startswith("huge")] == drafts


def test_a_wrong_number_of_the_save_is_no_way_around_the_other(house: House) -> None:
    page = begin(house, "numbers")
    for edit in ("", "-1", "999999", "x"):
        assert press(page, "save", {"_edit": edit, "title": "over"}).status == 409, edit


# --- two at one draft ----------------------------------------------------------------------------------------


def test_the_second_to_save_is_told_what_changed_and_loses_nothing(house: House) -> None:
    first = begin(house, "shared")
    second = house.visit("ben", "/definitions/shared/edit")
    press(first, "save", {"title": "Ann's title", "readme": "From ann"})
    page = press(second, "save", {"title": "Ben's title", "script": SCRIPT + "# ben\n"})
    assert page.status == 409
    theirs = page.text("//section[@id='theirs']")
    assert "saved by somebody else meanwhile" in theirs
    assert "+From ann" in theirs
    assert "Ann's title" in theirs
    assert "# ben" not in theirs
    assert page.field("title").get("value") == "Ben's title"
    assert typed_in(page, "script").endswith("# ben\n")
    assert house.visit("ann", "/definitions/shared/edit").field("title").get("value") == "Ann's title"
    again = press(page, "save")
    assert again.status == 409
    (over,) = page.all("//button[starts-with(@value, 'save.over.')]")
    saved = press(again, str(over.get("value")))
    assert saved.status == 200
    assert house.visit("ann", "/definitions/shared/edit").field("title").get("value") == "Ben's title"


def test_who_saves_over_saw_what_is_there(house: House) -> None:
    first = begin(house, "thrice")
    second = house.visit("ben", "/definitions/thrice/edit")
    first = press(first, "save", {"title": "one"})
    page = press(second, "save", {"title": "mine"})
    (over,) = page.all("//button[starts-with(@value, 'save.over.')]")
    press(first, "save", {"title": "two"})
    page = press(page, str(over.get("value")))
    assert page.status == 409
    assert '+ "title": "two"' in page.text("//section[@id='theirs']")
    taken = press(page, "take")
    assert taken.field("title").get("value") == "two"


# --- documents -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "ending"), [("json", ".json"), ("wadl", ".wadl"), ("votable", "_vot.xml")])
def test_a_draft_is_exported_and_fills_another(house: House, tmp_path: Path, kind: str, ending: str) -> None:
    name = f"export_{kind}"
    page = begin(house, name, readme="# Export", **{"parameters[0].test": "tried", "parameters[0].unit": "",
                                                    "parameters[0].group": "Words"})  # fmt: skip
    answer = page.session.get(f"{house.served.url}/definitions/{name}/draft/{kind}", timeout=300)
    assert answer.status_code == 200
    assert f'filename="{name}{ending}"' in answer.headers["Content-Disposition"]
    document = tmp_path / f"document.{kind}"
    document.write_bytes(answer.content)
    filled = press(house.visit("ann", "/definitions/_new"), "import", files={"_document": document})
    assert "nothing is saved yet" in filled.text("//p[@id='said']")
    before, after = (dict(one.all("//form[@id='sheet']")[0].form_values()) for one in (page, filled))
    known = {key for key in before if not key.startswith("_")}
    assert {key: after.get(key) for key in known} == {key: before[key] for key in known}
    other = press(begin(house, f"other_{kind}"), "import", files={"_document": document})
    assert other.field("name").get("value") == f"other_{kind}"
    assert f"It calls itself {name}" in other.text("//p[@id='said']")
    assert other.field("parameters[0].test").text.strip() == "tried"


def test_parameters_come_from_a_par_file(house: House, tmp_path: Path) -> None:
    path = tmp_path / "fkeypar.par"
    path.write_text('binsize,r,a,16.0,0.1,1e5,"Bin size (s)"\nclobber,b,h,no,,,"Overwrite?"\nmode,s,h,"ql",,,""\n')
    page = press(house.visit("ann", "/definitions/_new"), "import", {"script": "echo kept\n"}, {"_document": path})
    names = [control.get("value") for control in page.all("//input[contains(@name, '].name')]")]
    assert "binsize" in names
    assert typed_in(page, "script") == "echo kept\n"
    assert page.field(f"parameters[{names.index('binsize')}].default").text.strip() == "16.0"


def test_every_mistake_of_a_par_file_is_told_with_its_line(house: House, tmp_path: Path) -> None:
    path = tmp_path / "odd.par"
    path.write_text('a,s,h,"",,,""\ngti,*i,h,3,,,"list"\nb,i,h,1,few,,""\n')
    page = press(house.visit("ann", "/definitions/_new"), "import", {}, {"_document": path})
    said = page.text("//p[@id='at-_document-problem']")
    assert "line 2: parameters[1].type: '*i' is not one of" in said.lower()
    assert "line 3: parameters[2].min: 'few' is no number" in said.lower()


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 no VOTable", b"{", b"<a/>", b"\xff\xfe", b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>"]
)
def test_a_document_that_is_none_is_refused_at_its_field(house: House, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.xml"
    path.write_bytes(content)
    drafts = house.drafts()
    page = press(house.visit("ann", "/definitions/_new"), "import", {"title": "kept"}, {"_document": path})
    assert page.status == 400
    assert page.text("//p[@id='at-_document-problem']")
    assert page.field("title").get("value") == "kept"
    assert house.drafts() == drafts


# --- life ----------------------------------------------------------------------------------------------------


def test_a_definition_from_draft_to_live_and_back(house: House) -> None:
    page = begin(house, "lifelong")
    tried = press(page, "try")
    again = [link.get("href") for link in tried.all("//a[text()='Refresh']")]
    assert not any("#" in address for address in again), "a browser loads no page again to show a part of it"
    job = tried.all("//section[@id='trial']//a[contains(@href, '/jobs/')]")[0].get("href")
    wait_for_end(visit(house.served.url + job, page.session))
    tried = visit(tried.url, page.session)
    assert "Completed" in tried.text("//section[@id='trial']")
    assert tried.all("//section[@id='trial']//a[text()='out.txt']")
    asked = press(tried, "request", {"_why.request": "it echoes"})
    assert "ann requested validation" in asked.text()
    assert "it echoes" in asked.text()
    assert asked.all("//fieldset[@disabled]//*[@name='title']")
    refused = press(house.visit("root", "/definitions/lifelong/edit"), "refuse", {"_why.refuse": "which echo?"})
    assert "Refused" in refused.text("//p[@id='said']")
    told = house.visit("ann", "/definitions/lifelong/edit").text("//p[@id='asked']")
    assert "root refused it" in told
    assert "which echo?" in told
    go_live(house, "lifelong", title="Echo, again")
    assert house.visit("nobody", "/new/lifelong").text("//h1") == "New job: Echo, again"
    edited = house.visit("ben", "/definitions/lifelong").send("/draft")
    assert "Other files" not in edited.text()
    press(edited, "save", {"title": "Echo, thrice", "version": "2.0"})
    go_live(house, "lifelong", title="Echo, thrice", version="2.0")
    history = house.visit("ann", "/definitions/lifelong")
    rows = [" ".join(row.text_content().split()) for row in history.all("//section[@id='history']//tbody/tr")]
    assert "Made live Live 2.0" in rows[0]
    assert "root looks right" in rows[0]
    assert any("Refused" in row and "which echo?" in row for row in rows)
    assert not history.all("//*[contains(@action, '/restore')]")
    changes = next(link for link in history.all("//a[text()='Changes']")).get("href")
    difference = visit(house.served.url + changes, history.session).text()
    assert '- "version": "1.0"' in difference
    assert '+ "title": "Echo, thrice"' in difference
    version = next(link for link in history.all("//a[text()='View']")).get("href")
    viewed = visit(house.served.url + version, history.session)
    assert "echo $UWS_PARAM_text" in viewed.text()
    assert viewed.all("//div[@id='preview']//*[@id='p-text']")


@pytest.mark.parametrize(("language", "kind"), [("Python", "python"), ("a shell", "shell")])
def test_the_scripts_that_the_editor_shows_run(house: House, language: str, kind: str) -> None:
    page = house.visit("ann", "/definitions/_new")
    (example,) = page.all(f"//details[@id='examples']//pre[@aria-label='A script in {language}']")
    assert "\\\n" not in example.text_content()
    parameters = {
        "parameters[0].name": "eventlist", "parameters[0].type": "eventlist", "parameters[0].default": "",
        "parameters[0].test": "simulated:mos1", "parameters[1].name": "binsize", "parameters[1].type": "float",
        "parameters[1].default": "50", "results[0].name": "counts", "results[0].file": "counts.txt",
    }  # fmt: skip
    begun = fields(f"shown-{kind}", entry__type=kind, script=example.text_content(), **parameters)
    tried = press(page, "try", begun)
    (job,) = {link.get("href") for link in tried.all("//section[@id='trial']//a[contains(@href, '/jobs/')]")}
    ended = wait_for_end(visit(house.served.url + job, page.session))
    assert "Completed" in ended.text(), ended.text()
    link = ended.all("//a[contains(@href, 'counts.txt')]")[0].get("href")
    assert "in bins of 50" in page.session.get(house.served.url + link, timeout=300).text


def test_an_admin_sees_what_a_request_changes_of_what_is_live(house: House) -> None:
    page = begin(house, "differing")
    assert not press(page, "request").all("//p[@id='asked']//a"), "nothing is live yet"
    press(house.visit("root", "/definitions/differing/edit"), "accept", {"_why.accept": "fine"})
    edited = house.visit("ben", "/definitions/differing").send("/draft")
    assert not edited.all("//p[@id='asked']"), "what was asked for before is done"
    press(press(edited, "save", {"version": "1.1", "title": "Echo, differing"}), "request")
    admin = house.visit("root", "/definitions/differing/edit")
    (link,) = admin.all("//p[@id='asked']//a")
    difference = visit(house.served.url + link.get("href"), admin.session).text()
    assert '+ "title": "Echo, differing"' in difference
    press(admin, "withdraw")
    assert not house.visit("ben", "/definitions/differing/edit").all("//p[@id='asked']")


def test_a_version_is_restored_and_a_definition_removed(house: House) -> None:
    go_live(house, "twice", title="First")
    house.visit("ann", "/definitions/twice").send("/draft")
    go_live(house, "twice", title="Second", version="2")
    page = house.visit("root", "/definitions/twice")
    restored = page.send("/restore", {"_why": "the second is wrong"})
    assert "That version is live again" in restored.text()
    assert house.visit("nobody", "/new/twice").text("//h1") == "New job: First"
    removed = restored.send("/remove", {"_why": "nobody needs it"})
    assert "Removed" in removed.text("//p[@role='status']")
    assert house.visit("nobody", "/new/twice").status == 404
    assert house.visit("nobody", "/definitions/twice").status == 404
    assert "nobody needs it" in house.visit("ann", "/definitions/twice").text()
    back = house.visit("root", "/definitions/twice").send("/restore", {"_why": "somebody does"})
    assert "live again" in back.text()


def test_an_admin_makes_live_what_was_looked_at(house: House) -> None:
    page = begin(house, "looked")
    seen = press(press(page, "request"), "check")  # the page of an author who waits
    admin = house.visit("root", "/definitions/looked/edit")
    press(house.visit("ann", "/definitions/looked/edit"), "withdraw")
    changed = press(house.visit("ann", "/definitions/looked/edit"), "save", {"script": SCRIPT + "rm -rf ~\n"})
    press(changed, "request")
    answer = press(admin, "accept", {"_why.accept": "as I saw it"})
    assert answer.status == 409
    assert "somebody saved the draft since" in answer.text().lower()
    assert house.visit("nobody", "/new/looked").status == 404
    assert seen.status == 409


def test_a_draft_is_discarded_by_its_author(house: House) -> None:
    begin(house, "short")
    assert press(house.visit("ben", "/definitions/short/edit"), "discard").status == 403
    assert "discarded" in press(house.visit("ann", "/definitions/short/edit"), "discard").text()
    assert house.visit("ann", "/definitions/short/edit").status == 404


def test_nothing_an_author_wrote_becomes_html(house: House) -> None:
    begin(house, "markup", title=HOSTILE, description=HOSTILE + " [x](javascript:alert(1))", readme=HOSTILE,
          contact__name=HOSTILE, group=HOSTILE,
          **{"parameters[0].description": HOSTILE, "parameters[0].annotation": HOSTILE,
             "parameters[0].default": HOSTILE, "parameters[0].group": HOSTILE,
             "results[0].description": HOSTILE})  # fmt: skip
    go_live(house, "markup", title=HOSTILE, description=HOSTILE + " [x](javascript:alert(1))", contact__name=HOSTILE,
            group=HOSTILE, readme=HOSTILE)  # fmt: skip
    history = house.visit("root", "/definitions/markup")
    pages = [house.visit("ann", "/definitions"), history, house.visit("ann", "/definitions/markup").send("/draft")]
    pages += [visit(house.served.url + history.all("//a[text()='View']")[0].get("href"), history.session)]
    for page in pages:
        assert HOSTILE in page.tree.text_content() or HOSTILE in str(page.all("//textarea//text() | //@value"))
        assert not page.all("//script[contains(., 'alert')]"), page.url
        assert not page.all("//a[starts-with(@href, 'javascript')]"), page.url


@pytest.mark.parametrize("place", sorted(fields("x") | {"parameters[0].options": "", "parameters[0].max_values": ""}))
def test_nothing_that_is_typed_becomes_html_before_it_is_saved(house: House, place: str) -> None:
    """Not even where no name may be so: the form is shown as it is typed."""
    typed = fields("typed", **{"parameters[0].type": "choice", "parameters[0].options": "a\nb"})
    typed |= {"parameters[0].default": "", "parameters[0].max_values": "2", place: 'x" id="theirs"><b id="theirs">'}
    page = press(house.visit("ann", "/definitions/_new"), "check", typed)
    assert page.all("//form[@id='sheet']")
    assert not page.all("//*[@id='theirs'] | //b[contains(., 'theirs')]")


# --- who may -------------------------------------------------------------------------------------------------


def state_of(house: House) -> tuple[object, ...]:
    names = ("guarded", "asked", "alive")
    histories = [house.visit("root", f"/definitions/{name}").text("//section[@id='history']//tbody") for name in names]
    return house.drafts(), histories, house.kept()


@pytest.fixture(scope="module")
def guarded(house: House) -> House:
    """A draft, a draft that waits, and a live definition with two versions."""
    begin(house, "guarded")
    press(begin(house, "asked"), "request")
    go_live(house, "alive", title="First")
    house.visit("ann", "/definitions/alive").send("/draft")
    go_live(house, "alive", title="Second", version="2")
    return house


ADDRESSES: tuple[tuple[str, dict[str, str], tuple[str, ...]], ...] = (
    ("/definitions/_new", {"_do": "parameters.add"}, ("ann", "root")),
    ("/definitions/_new", {"_do": "save", "name": "smuggled"}, ("ann", "root")),
    ("/definitions/_new/preview", {}, ("ann", "root")),
    ("/definitions/guarded/preview", {}, ("ann", "root")),
    ("/definitions/guarded/edit", {"_do": "save"}, ("ann", "root")),
    ("/definitions/guarded/edit", {"_do": "try"}, ("ann", "root")),
    ("/definitions/guarded/edit", {"_do": "request"}, ("ann", "root")),
    ("/definitions/guarded/edit", {"_do": "discard", "_edit": "1"}, ("ann", "root")),
    ("/definitions/asked/edit", {"_do": "withdraw", "_edit": "1"}, ("ann", "root")),
    ("/definitions/asked/edit", {"_do": "accept", "_edit": "1", "_why.accept": "x"}, ("root",)),
    ("/definitions/asked/edit", {"_do": "refuse", "_edit": "1", "_why.refuse": "x"}, ("root",)),
    ("/definitions/alive/draft", {}, ("ann", "root")),
    ("/definitions/alive/restore", {"_why": "x"}, ("root",)),
    ("/definitions/alive/remove", {"_why": "x"}, ("root",)),
)
"""Every address that takes a form, with what is sent, and who may send it."""


def revision_before(house: House) -> str:
    page = house.visit("root", "/definitions/alive")
    return str(page.all("//form[contains(@action, '/restore')]//input[@name='revision']")[0].get("value"))


@pytest.mark.parametrize(("address", "values", "allowed"), ADDRESSES, ids=lambda value: str(value)[:60])
def test_forms_are_refused_to_the_wrong_kind_of_user(
    guarded: House, address: str, values: dict[str, str], allowed: tuple[str, ...]
) -> None:
    if "restore" in address:
        values = {**values, "revision": revision_before(guarded)}
    before = state_of(guarded)
    for who in WHO:
        if who in allowed:
            continue
        page = guarded.visit(who, "/new/dummy")
        data = {**fields("guarded"), **values, "_token": token_of(page)}
        answer = page.session.post(guarded.served.url + address, data=data, headers=AS_BROWSER, timeout=300)
        assert answer.status_code == (401 if who == "nobody" else 403), (who, answer.text)
    assert state_of(guarded) == before


@pytest.mark.parametrize("token", ["none", "wrong", "of another cookie"])
@pytest.mark.parametrize(("address", "values", "allowed"), ADDRESSES, ids=lambda value: str(value)[:60])
def test_a_form_without_its_token_does_nothing(
    guarded: House, address: str, values: dict[str, str], allowed: tuple[str, ...], token: str
) -> None:
    assert "root" in allowed
    if "restore" in address:
        values = {**values, "revision": revision_before(guarded)}
    before = state_of(guarded)
    page = guarded.visit("root", "/definitions")
    sent = {"wrong": "0" * 64, "of another cookie": token_of(guarded.visit("root", "/new/dummy"))}
    data = {**fields("guarded"), **values} | ({"_token": sent[token]} if token in sent else {})
    answer = page.session.post(guarded.served.url + address, data=data, headers=AS_BROWSER, timeout=300)
    assert (answer.status_code, "reload the page and send it again" in answer.text) == (403, True)
    assert state_of(guarded) == before


def test_every_form_of_the_pages_carries_a_token_and_is_tested(guarded: House) -> None:
    paths = ("/definitions", "/definitions/_new", "/definitions/guarded/edit", "/definitions/asked/edit")
    known = {address.rpartition("/")[2] for address, _, _ in ADDRESSES}
    for path in (*paths, "/definitions/alive"):
        for form in guarded.visit("root", path).all("//form[@method='post']"):
            assert form.xpath(".//input[@name='_token']"), form.get("action")
            assert form.get("action").rpartition("/")[2] in known


@pytest.mark.parametrize(
    "path", ["/definitions/_new", "/definitions/guarded/edit", "/definitions/guarded/draft/json",
             "/definitions/alive/diff?before={revision}&after={revision}", "/definitions/alive/versions/{revision}"],
)  # fmt: skip
def test_drafts_and_old_versions_are_for_authors(guarded: House, path: str) -> None:
    path = path.format(revision=revision_before(guarded))
    statuses = {who: guarded.visit(who, path).response.status_code for who in WHO}
    assert statuses == {"nobody": 401, "eve": 403, "ann": 200, "root": 200}


def test_buttons_are_shown_to_those_who_may_press_them(guarded: House) -> None:
    def buttons(who: str, path: str) -> set[str]:
        return {str(button.get("value")) for button in guarded.visit(who, path).all("//button[@name='_do']")}

    assert {"accept", "refuse", "withdraw"} <= buttons("root", "/definitions/asked/edit")
    assert not {"accept", "refuse", "save", "try"} & buttons("ann", "/definitions/asked/edit")
    assert {"save", "try", "request", "discard"} <= buttons("ann", "/definitions/guarded/edit")
    assert not {"accept", "refuse", "withdraw"} & buttons("root", "/definitions/guarded/edit")
    alive = {who: guarded.visit(who, "/definitions/alive") for who in WHO}
    for who, page in alive.items():
        assert bool(page.all("//form[contains(@action, '/draft')]")) == (who in ("ann", "root"))
        assert bool(page.all("//form[contains(@action, '/remove')]")) == (who == "root")
        assert bool(page.all("//section[@id='history']")) == (who in ("ann", "root"))


def test_revisions_of_other_definitions_are_not_of_this_one(guarded: House) -> None:
    page = guarded.visit("root", "/definitions/dummy")
    dummy = page.all("//input[@name='after']")[0].get("value")
    assert guarded.visit("root", f"/definitions/dummy/versions/{dummy}").status == 200
    assert guarded.visit("root", f"/definitions/alive/versions/{dummy}").status == 404
    assert guarded.visit("root", f"/definitions/alive/diff?before={dummy}&after={dummy}").status == 404
    assert guarded.visit("root", "/definitions/alive/diff").status == 404


def test_the_files_of_a_definition_can_be_read_back(house: House) -> None:
    page = begin(house, "readback", **{"parameters[0].type": "float", "parameters[0].default": "1.5",
                                       "parameters[0].unit": "s", "control.memory": "2 GiB"})  # fmt: skip
    document = page.session.get(f"{house.served.url}/definitions/readback/draft/json", timeout=300).json()
    assert json.dumps(document).count("2147483648") == 1
    assert page.field("control.memory").get("value") == "2 GiB"
    assert page.field("parameters[0].default").text.strip() == "1.5"


def test_halves_of_characters_that_json_brings_are_shown_as_replaced(house: House, tmp_path: Path) -> None:
    document = tmp_path / "half.json"
    document.write_text(json.dumps({"name": "half", "version": "1", "title": "\ud800", "x\ud800": 1}))
    answered = press(house.visit("ann", "/definitions/_new"), "import", fields("half"), {"_document": document})
    assert answered.status == 400
    made = press(house.visit("ann", "/definitions/_new"), "save", fields("halved"))
    assert made.status == 200
    stale = fields("halved", title="Other") | {"_edit": "0", "_base": json.dumps({"job.json": "\ud800"})}
    assert press(house.visit("ann", "/definitions/halved/edit"), "save", stale).status == 409


def test_further_files_are_added_replaced_downloaded_and_removed(house: House, tmp_path: Path) -> None:
    (tmp_path / "table.fits").write_bytes(b"\xff\0")
    (tmp_path / "two.txt").write_text("two\r\n", newline="")
    page = press(house.visit("ann", "/definitions/_new"), "file.add", fields("furnished") | {"_folder": "data"},
                 {"_file": tmp_path / "table.fits"})  # fmt: skip
    assert "The draft is saved with the file" in page.text("//p[@id='said']"), page.text()
    links = {link.text: link.get("href") for link in page.all("//ul[@class='furtherfiles']//a")}
    assert links == {"data/table.fits": "/definitions/furnished/draft/files/data/table.fits"}
    got = page.session.get(house.served.url + links["data/table.fits"], timeout=300)
    assert got.content == b"\xff\0"
    assert got.headers["Content-Disposition"] == 'attachment; filename="table.fits"'
    assert requests.get(house.served.url + links["data/table.fits"], timeout=300).status_code == 401
    page = press(page, "file.add", {"title": "Typed with it"}, {"_file": tmp_path / "two.txt"})
    assert page.field("title").get("value") == "Typed with it", "what is typed is saved with the file"
    got = page.session.get(f"{house.served.url}/definitions/furnished/draft/files/two.txt", timeout=300)
    assert got.content == b"two\r\n", "a file is never touched"
    page = press(page, "file.remove.data/table.fits")
    assert [link.text for link in page.all("//ul[@class='furtherfiles']//a")] == ["two.txt"]
    missing = press(page, "file.add")
    assert (missing.status, "Choose a file first" in said_at_file(missing)) == (400, True)
    (tmp_path / "run.sh").write_text("true")
    assert "a field of its own" in said_at_file(press(page, "file.add", files={"_file": tmp_path / "run.sh"}))
    go_live(house, "furnished", title="Typed with it")
    shown = house.visit("ann", "/definitions/furnished")
    version = next(link for link in shown.all("//a[text()='View']")).get("href")
    assert "two.txt" in visit(house.served.url + version, shown.session).text()


def said_at_file(page: Page) -> str:
    return page.text("//p[@id='at-_file-problem']")


def test_a_new_parameter_is_required_and_may_be_changed_until_that_is_unticked(house: House) -> None:
    page = press(house.visit("ann", "/definitions/_new"), "parameters.add", {"name": "ticked"})
    boxes = [page.field(f"parameters[0].{name}") for name in ("required", "editable")]
    assert ["checked" in box.attrib for box in boxes] == [True, True]
    address = page.url
    typed = fields("ticked") | {"_token": token_of(page), "_do": "save", "parameters[0].required": "true"}
    saved = Page(page.session, page.session.post(address, files={name: (None, text) for name, text in typed.items()},
                                                 headers=AS_BROWSER, timeout=300))  # fmt: skip
    boxes = [saved.field(f"parameters[0].{name}") for name in ("required", "editable")]
    assert ["checked" in box.attrib for box in boxes] == [True, False]


def test_the_page_of_a_definition_has_its_readme_and_leads_to_its_script(house: House) -> None:
    page = house.visit("nobody", "/definitions/spectrum")
    root = ROOT / "job_definitions" / "spectrum"
    scripts = [link.get("href") for link in page.all("//main//a[starts-with(., 'Script')]")]
    got = page.session.get(house.served.url + scripts[0], timeout=300)
    assert (got.text, got.headers["Content-Type"]) == ((root / "run.py").read_text(), "text/plain; charset=UTF-8")
    (text,) = page.all("//section[@id='readme']//a[text()='As text']")
    assert page.session.get(house.served.url + text.get("href"), timeout=300).text == (root / "README.md").read_text()
    assert page.all("//a[@href='#readme']")
    assert page.all("//section[@id='readme']//table"), "Markdown, as a page"


def test_a_readme_cannot_run_anything_on_the_page_of_its_definition(house: House) -> None:
    readme = "# Evil\n\n<script>alert(1)</script> [x](javascript:alert(1)) ![y](http://example.org/y.png)\n"
    go_live(house, "evil", readme=readme)
    page = house.visit("nobody", "/definitions/evil")
    assert not page.all("//section[@id='readme']//script | //section[@id='readme']//img")
    assert not page.all("//a[starts-with(@href, 'javascript:')]")
    assert "<script>alert(1)</script>" in page.text("//section[@id='readme']")
