"""Make the data folder of a server with one of everything, by running the server and driving it over HTTP.

    PYTHON tests/data/make_data_folder.py [PLACE]

Run it with the build of the version whose folder you want, in a checkout of that version; it writes two files beside
itself, which have that version in their name (`NAME` in tests/support/olddata.py). PLACE (usually /srv/uws) must not
exist: it is where the old server lives, its path is in the database, and it goes afterwards.

What is in the folder was all made by the server itself, with three exceptions: one account was disabled in the database
(no command does that), the machine is called old.example.org where the database and the job folders name it (so that
the folder comes from another machine wherever it is unpacked), and times of change are whole seconds (as tar keeps
them). The server is killed in the middle of its work at the end, as by a loss of power that spares one of three jobs.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import requests

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

from old_server import Old
from olddata import ARCHIVE, HOST, PLACE, RECORD, pack
from pagereader import Page
from processes import until
from reduction.simulate import simulate, small
from uwsjobs import reached

BOOT = "00000000-0000-4000-8000-000000000000"
SOURCE = small().sources[0]
CIRCLE = f'icrs; circle({SOURCE.ra}, {SOURCE.dec}, 40")'
SMALLER = f'icrs; circle({SOURCE.ra}, {SOURCE.dec}, 20")'
RING = f'icrs; annulus({SOURCE.ra}, {SOURCE.dec}, 60", 120")'
NEVER = "2126-01-01T00:00:00Z"
OBSERVATION = "0999990101"

SCRIPT = """\
# Stacks tables and words into one text, and copies an event list.
mkdir -p results
{
  echo "stacked by version VERSION"
  printf '%s\\n' "$UWS_PARAM_words"
  printf '%s\\n' "$UWS_PARAM_tables" | while read -r file; do
    if [ -n "$file" ]; then cat "$file"; fi
  done
} > results/stacked.txt
printf '%s\\n' "$UWS_PARAM_pointing" | while read -r file; do
  if [ -n "$file" ]; then cp "$file" "results/copy_of_$(basename "$file" .FITS).fits"; fi
done
"""
README = "# Stack\n\nWritten in the editor for the test of an old data folder, version VERSION.\n"
DEFINITION: dict[str, Any] = {
    "name": "stack",
    "title": "Stack of tables",
    "description": "Stacks tables and words.",
    "documentation": "https://www.example.org/stack",
    "contact": {"name": "Ann Author", "email": "ann@example.org"},
    "group": "Tables",
    "roles": ["xray"],
    "entry": {"type": "shell", "script": "run.sh"},
    "control": {"duration": {"default": 60, "max": 600}},
    "parameters": [
        {"name": "tables", "type": "file", "max_values": 3, "description": "Tables to stack."},
        {"name": "words", "type": "string", "max_values": 4, "default": ["first", "second"], "editable": True},
        {"name": "pointing", "type": "observation", "description": "An observation to copy."},
        {"name": "link", "type": "url"},
        {"name": "level", "type": "choice", "options": ["low", "high"], "default": "low"},
        {"name": "count", "type": "integer", "default": 3, "min": 1, "max": 9},
        {"name": "energy", "type": "float", "unit": "keV", "default": 1.5},
        {"name": "quick", "type": "boolean", "default": False},
        {"name": "since", "type": "datetime"},
        {"name": "centre", "type": "position"},
    ],
    "results": [
        {"name": "stacked", "file": "stacked.txt", "mime": "text/plain", "description": "All in one."},
        {"name": "copies", "file": "copy_of_*.fits", "mime": "application/fits", "optional": True},
    ],
    "test": {"words": ["tried"]},
}


# --- what is made ------------------------------------------------------------------------------------------------


def make_accounts(old: Old) -> None:
    old.account("ann", "--role", "author", "--role", "xray", "--max-active", "2", "--max-stored", "2MB")
    old.account("boss", "--admin")
    old.account("guest")


def make_plain_jobs(old: Old) -> None:
    """Jobs of the test definition that nobody owns, ended in every way."""
    old.create("text", "dummy", {"text": 'Grüße <&> "to" all', "RUNID": "first <run>", "DESTRUCTION": NEVER})
    old.create("failed", "dummy", {"fail": "true"})
    old.create("short", "dummy", {"seconds": "50", "EXECUTIONDURATION": "1"})
    old.create("aborted", "dummy", {"seconds": "50", "RUNID": "in vain"})
    reached(old.address("aborted"), "EXECUTING")
    old.post(f"{old.jobs['aborted'][0]}/phase", None, {"PHASE": "ABORT"})
    old.create("held", "dummy", {"text": "later"}, run=False)
    old.post(f"{old.jobs['held'][0]}/phase", None, {"PHASE": "HOLD"})
    old.create("lost", "dummy", {"seconds": "50"})
    reached(old.address("lost"), "EXECUTING")
    os.kill(old.supervisor("lost"), signal.SIGKILL)
    old.create("archived", "dummy", {"text": "its time came"})
    old.create("public", "dummy", {"text": "shared"}, "ann")
    ends = {"text": "COMPLETED", "failed": "ERROR", "short": "ABORTED", "aborted": "ABORTED", "lost": "ERROR"}
    for label, phase in ends.items():
        old.ended(label, phase)
    old.ended("archived")
    old.post(f"{old.jobs['archived'][0]}/destruction", None, {"DESTRUCTION": "2020-01-01T00:00:00Z"})
    old.ended("public")
    shared = old.page("ann", old.path_of("public")).send("/share")
    assert shared.all("//*[@id='share-link']"), shared.text()


def make_spectra(old: Old) -> None:
    """A chain of two spectra, and each way to make it again."""
    event_list = next(old.archive.rglob("P*PNS*.FITS")).relative_to(old.archive).as_posix()
    values = {"eventlist": event_list, "source_region": CIRCLE, "background_region": RING, "min_counts": "5"}
    old.create("spectrum", "spectrum", values)
    old.ended("spectrum")
    files = {"eventlist": ("events.fits", old.result("spectrum", "events"))}
    old.create("second", "spectrum", {"source_region": SMALLER, "grouping": "none"}, files=files)
    old.ended("second")
    old.jobs["again"] = (again(old, "second", {"energy": "0.5 5", "RUNID": "softer"}), None)
    old.ended("again")
    old.jobs["chain"] = (again(old, "second", {"from": "0", "0.energy": "0.3 8"}), None)
    old.ended("chain")


def again(old: Old, label: str, values: dict[str, str]) -> str:
    return old.post(f"{old.jobs[label][0]}/rerun", None, {"PHASE": "RUN", **values})


def press(page: Page, do: str, values: dict[str, str] | None = None, files: dict[str, Path] | None = None) -> Page:
    """Press a button of the editor."""
    action = "/edit" if page.all("//form[@id='sheet' and contains(@action, '/edit')]") else "/_new"
    answered = page.send(action, {**(values or {}), "_do": do}, files)
    assert answered.status == 200, answered.text()
    return answered


def write(old: Old, page: Page, version: str, **changes: Any) -> Page:
    """Fill the editor with a version of the definition and save it."""
    document = old.place / "job.json"
    document.write_text(json.dumps({**DEFINITION, "version": version, **changes}))
    texts = {"script": SCRIPT.replace("VERSION", version), "readme": README.replace("VERSION", version)}
    saved = press(press(page, "import", texts, {"_document": document}), "save", texts)
    document.unlink()
    assert "/edit" in saved.url, saved.text()
    return saved


def go_live(old: Old, page: Page) -> None:
    asked = press(page, "request", {"_why.request": "it is ready"})
    path = asked.url.removeprefix(old.url).partition("?")[0]
    press(old.page("boss", path), "accept", {"_why.accept": "looks right"})


def make_definitions(old: Old) -> dict[str, list[str]]:
    """Two live versions of a definition with jobs of each, a draft that was tried, one that waits; revisions."""
    revisions = {}
    go_live(old, write(old, old.page("ann", "/definitions/_new"), "1.0"))
    revisions["1.0"] = old.seen(None).definitions()["stack"]
    tables = [("tables", ("a.txt", b"one\n")), ("tables", ("b.txt", b"two\n"))]
    old.create("stacked", "stack", [("words", "alpha"), ("words", "beta gamma")], "ann", tables)
    old.ended("stacked")
    go_live(old, write(old, old.page("ann", "/definitions/stack").send("/draft"), "2.0"))
    revisions["2.0"] = old.seen(None).definitions()["stack"]
    old.create("copied", "stack", {"pointing": OBSERVATION, "count": "7", "centre": "10.5 -20.25"}, "boss")
    old.ended("copied")

    write(old, old.page("ann", "/definitions/stack").send("/draft"), "3.0")
    press(old.page("ann", "/definitions/stack/edit"), "try")
    (trial,) = (path for path, _, run_id, *_ in old.seen("ann").listed("stack") if run_id == "trial")
    old.jobs["trial"] = (str(trial), "ann")
    old.ended("trial")
    later = write(old, old.page("ann", "/definitions/_new"), "0.1", name="later", title="Not yet", roles=[])
    press(later, "request", {"_why.request": "please"})
    press(old.page("boss", "/definitions/later/edit"), "refuse", {"_why.refuse": "not today"})
    press(old.page("ann", "/definitions/later/edit"), "request", {"_why.request": "today?"})
    dropped = write(old, old.page("ann", "/definitions/_new"), "0.1", name="dropped", title="Dropped")
    press(dropped, "discard")
    go_live(old, write(old, old.page("ann", "/definitions/_new"), "0.9", name="retired", title="Retired", roles=[]))
    old.page("boss", "/definitions/retired").send("/remove", {"_why": "nobody needs it"})
    return revisions


def make_waiting_and_forgotten(old: Old) -> None:
    """A job that is not started yet, with every kind of parameter; one that was deleted while another had used it."""
    values = [("words", "one"), ("words", "zwei, drei"), ("words", "4"), ("pointing", OBSERVATION), ("quick", "true")]
    values += [("link", "https://data.example.org/list.fits"), ("level", "high"), ("energy", "2500 eV")]
    values += [("since", "2026-03-01T10:00:00"), ("centre", "148.974 69.6512"), ("RUNID", "not yet")]
    values += [("EXECUTIONDURATION", "77"), ("DESTRUCTION", NEVER)]
    tables = [("tables", ("first list.txt", b"1\n")), ("tables", ("second.txt", b"2\n2\n"))]
    old.create("pending", "stack", values, "ann", tables, run=False)
    old.create("forgotten", "dummy", {"text": "used, then deleted"}, "ann")
    old.ended("forgotten")
    old.create("user", "stack", {}, "ann", [("tables", ("result.txt", old.result("forgotten", "result")))])
    old.ended("user")
    path, who = old.jobs["forgotten"]
    requests.delete(old.url + path, auth=old.who(who), timeout=300, allow_redirects=False)
    old.ended("forgotten", "ARCHIVED")


def make_unfinished(old: Old) -> None:
    """One job that runs, one that is suspended, one that is queued, and one that waits for that."""
    old.create("suspended", "dummy", {"seconds": "600", "EXECUTIONDURATION": "30"})
    reached(old.address("suspended"), "EXECUTING")
    old.post(f"{old.jobs['suspended'][0]}/phase", None, {"PHASE": "SUSPEND"})
    old.create("running", "dummy", {"text": "finished without its server", "seconds": "6"})
    reached(old.address("running"), "EXECUTING")
    old.jobs["waiting"] = (again(old, "second", {"from": "0", "RUNID": "after the restart"}), None)
    (queued,) = (path for path, phase, run_id, *_ in old.seen(None).listed("spectrum", PHASE="QUEUED"))
    old.jobs["queued"] = (str(queued), None)
    old.create("in line", "dummy", {"text": "next, please"}, "boss")


# --- what is kept ------------------------------------------------------------------------------------------------

UNFINISHED = ("suspended", "running", "queued", "waiting", "in line")
CALLERS = (None, "ann", "boss")


def record(old: Old, revisions: dict[str, list[str]]) -> dict[str, Any]:
    """What the old server answers."""
    stable = {label: job for label, job in old.jobs.items() if label not in UNFINISHED}
    jobs = {label: {"path": path, "who": who, **old.seen(who).job(path)} for label, (path, who) in stable.items()}
    unfinished = {
        label: {"path": old.jobs[label][0], "who": old.jobs[label][1],
                "document": old.seen(old.jobs[label][1]).document(old.jobs[label][0])}
        for label in UNFINISHED
    }  # fmt: skip
    link = old.page("ann", old.path_of("public")).text("//*[@id='share-link']")
    names = ("dummy", "spectrum", "stack")
    archived = {name: old.seen("boss").listed(name, PHASE="ARCHIVED") for name in names}
    listing = subprocess.run(old.command("accounts", "list", "--data", str(old.data)), capture_output=True, text=True,
                             check=True, env=old.environment)  # fmt: skip
    return {
        "url": old.url,
        "tokens": old.tokens,
        "accounts": listing.stdout.splitlines(),
        "share": link.partition("?share=")[2],
        "jobs": jobs,
        "unfinished": unfinished,
        "lists": {str(who): {name: old.seen(who).listed(name) for name in names} for who in CALLERS},
        "archived": archived,
        "obscore": old.seen("boss").obscore(),
        "obscore of": {str(who): sorted(old.seen(who).obscore()) for who in CALLERS},
        "definitions": old.seen(None).definitions(),
        "revisions": revisions,
    }


def whole_seconds(folder: Path) -> None:
    """Set times of change to what a tar file can keep."""
    for path in folder.rglob("*"):
        if not path.is_symlink():
            about = path.stat()
            os.utime(path, (int(about.st_mtime), int(about.st_mtime)))


def after_the_crash(old: Old) -> None:
    """Wait for the job that goes on without its server; end the suspended one with its supervisor."""
    os.kill(old.supervisor("suspended"), signal.SIGKILL)
    until(lambda: (old.folder("running") / "status.json").exists())
    assert not (old.folder("suspended") / "status.json").exists()


def on_another_machine(old: Old) -> None:
    """Call the machine by its name of the test; put all of the database into one file."""
    for claim in old.data.glob("jobs/*/*/shepherd.json"):
        content = json.loads(claim.read_text())
        claim.write_text(json.dumps(content | {"boot": BOOT, "host": HOST}))
    with the_database(old) as database:
        database.execute("UPDATE servers SET host = ?, place = ?", (HOST, f"{BOOT} pid:[4026531836]"))
        database.execute("VACUUM")


def disable_guest(old: Old) -> None:
    with the_database(old) as database:
        database.execute("UPDATE accounts SET disabled = 1 WHERE name = 'guest'")


@contextmanager
def the_database(old: Old) -> Iterator[sqlite3.Connection]:
    """The database while no server has it; what is beside it goes into it when it is closed."""
    database = sqlite3.connect(old.data / "jobs.sqlite", isolation_level=None)
    try:
        yield database
    finally:
        database.close()


def main(arguments: Sequence[str]) -> None:
    place = Path(arguments[0] if arguments else PLACE)
    place.mkdir(parents=True)
    old = Old(place)
    simulate(replace(small(), exposure_s=300.0, flare=None), old.archive / OBSERVATION, cameras=("EPN", "EMOS1"))
    for truth in old.archive.rglob("*_truth.json"):
        truth.unlink()
    make_accounts(old)
    with old.served("8765"):
        make_plain_jobs(old)
        make_spectra(old)
        revisions = make_definitions(old)
        make_waiting_and_forgotten(old)
    whole_seconds(old.place)
    disable_guest(old)
    with old.served("8765"):
        old.ended("archived", "ARCHIVED")
        make_unfinished(old)
        told = record(old, revisions)
    after_the_crash(old)
    on_another_machine(old)
    for name in ("software", "server.log"):
        (place / name).unlink()
    pack(place, ARCHIVE)
    RECORD.write_text(written(told), encoding="utf-8")
    shutil.rmtree(place)
    print(f"{ARCHIVE}: {ARCHIVE.stat().st_size:,} bytes; {RECORD}: {RECORD.stat().st_size:,} bytes")


def written(told: dict[str, Any]) -> str:
    """JSON with a line for each thing that is told."""

    def line(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, sort_keys=True)

    sections = []
    for key, value in sorted(told.items()):
        if isinstance(value, dict) and value:
            inner = ",\n".join(f" {line(name)}: {line(each)}" for name, each in sorted(value.items()))
            sections.append(f"{line(key)}: {{\n{inner}}}")
        else:
            sections.append(f"{line(key)}: {line(value)}")
    return "{\n" + ",\n".join(sections) + "}\n"


if __name__ == "__main__":
    main(sys.argv[1:])
