"""The job list over HTTP as a browser without JavaScript meets it: search, order, pages, several jobs at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

import pytest
import requests

from accounts import account
from pagereader import Page, visit
from processes import until
from serving import Served, running_server
from uws_server.jobs.job import Job, new_id, utcnow
from uws_server.jobs.phases import Phase
from uws_server.storage.jobstore import JobStore
from uws_server.storage.rows import job_row
from uws_server.storage.tables import jobs


@dataclass(frozen=True)
class People:
    """A server with many jobs, and who is signed in there: two accounts and an admin."""

    served: Served
    ann: requests.Session
    ben: requests.Session
    root: requests.Session


NOW = utcnow().replace(year=2020, month=6, day=15, hour=12, minute=0, second=0, microsecond=0)
PHASES = (Phase.COMPLETED, Phase.ERROR, Phase.ABORTED, Phase.PENDING)
COUNT = 137


def stored(number: int) -> Job:
    """A job of each kind: an hour after the one before it, of one of two owners or nobody."""
    targets = ("M 82", "m82 X-1", "NGC 253", "")
    return Job(
        f"{number:08x}{new_id()[8:]}", ("dummy", "spectrum")[number % 2], "1", PHASES[number % 4],
        NOW + timedelta(hours=number), 60, owner=("ann", "ben", None)[number % 3],
        run_id=f"Night {number}" if number % 5 else None, target=targets[number % 4],
    )  # fmt: skip


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory, module_database_url: str) -> Iterator[People]:
    data = tmp_path_factory.mktemp("data")
    with running_server(data, database=module_database_url, anonymous="listed", max_running=4) as server:
        config = data / "uws.toml"
        config.write_text(f"[folders]\ndata = {str(data)!r}\ndatabase = {module_database_url!r}\n", encoding="utf-8")
        found = {}
        for name, options in (("ann", ()), ("ben", ()), ("root", ("--admin",))):  # before there are jobs of theirs
            found[name] = requests.Session()
            found[name].auth = account(data, name, "--config", str(config), *options)
        store = JobStore(module_database_url)
        with store.engine.begin() as connection:
            connection.execute(jobs.insert(), [job_row(stored(number)) for number in range(COUNT)])
        store.close()
        yield People(server, **found)


@pytest.fixture(scope="module")
def served(people: People) -> Served:
    return people.served


@pytest.fixture(scope="module")
def root(people: People) -> requests.Session:
    return people.root


def numbers(page: Page) -> list[int]:
    """The jobs of a page, by their numbers."""
    return [
        int(row.get("data-id")[:8], 16) for row in page.all("//tbody/tr") if int(row.get("data-id")[:8], 16) < COUNT
    ]


def listed(served: Served, session: requests.Session, **query: object) -> list[int]:
    """The jobs of all pages of a list, read by its links to the next one."""
    page = visit(f"{served.url}/?{urlencode(query, doseq=True)}", session)
    found = numbers(page)
    while following := page.all("//a[@rel='next']"):
        page = visit(served.url + following[0].get("href"), session)
        found += numbers(page)
    return found


SEARCHES = {
    "phase": ({"phase": ["ERROR", "ABORTED"]}, lambda job: job.phase in (Phase.ERROR, Phase.ABORTED)),
    "definition": ({"definition": "spectrum"}, lambda job: job.definition == "spectrum"),
    "owner": ({"owner": "ann"}, lambda job: job.owner == "ann"),
    "nobody": ({"owner": "nobody"}, lambda job: job.owner is None),
    "run id": ({"runid": "night 1"}, lambda job: (job.run_id or "").startswith("Night 1")),
    "target": ({"target": "M82"}, lambda job: job.target.replace(" ", "").lower().startswith("m82")),
    "text as target": ({"q": "ngc253"}, lambda job: job.target == "NGC 253"),
    "text as run id": ({"q": "NIGHT 13"}, lambda job: (job.run_id or "").startswith("Night 13")),
    "text as id": ({"q": "0000007"}, lambda job: job.id.startswith("0000007")),
    "from": ({"from": "2020-06-17"}, lambda job: job.created >= NOW.replace(day=17, hour=0)),
    "until": ({"until": "2020-06-17"}, lambda job: job.created < NOW.replace(day=18, hour=0)),
    "hours": (
        {"from": "2020-06-17T10:00", "until": "2020-06-17T12:00"},
        lambda job: NOW.replace(day=17, hour=10) <= job.created <= NOW.replace(day=17, hour=12),
    ),
    "all": (
        {"q": "night", "target": "m82", "definition": "dummy", "phase": "COMPLETED", "owner": "ben",
         "from": "2020-06-16"},
        lambda job: (job.run_id is not None and job.target == "M 82" and job.definition == "dummy"
                     and job.owner == "ben" and job.phase is Phase.COMPLETED
                     and job.created >= NOW.replace(day=16, hour=0)),
    ),
    "nothing": ({"q": "%"}, lambda job: False),
}  # fmt: skip


@pytest.mark.parametrize("order", ["newest", "oldest"])
@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_finds_what_it_says_and_nothing_else(
    served: Served, root: requests.Session, name: str, order: str
) -> None:
    query, is_wanted = SEARCHES[name]
    expected = [number for number in range(COUNT) if is_wanted(stored(number))]
    assert len(expected) > 2 or name in ("nothing", "hours", "all")
    if order == "newest":
        expected.reverse()
    assert listed(served, root, order=order, **query) == expected


def test_pages_lead_to_each_other_and_to_both_ends(served: Served, root: requests.Session) -> None:
    everything = list(reversed(range(COUNT)))

    def followed(page: Page, name: str) -> Page:
        (link,) = page.all(f"//a[@id='page-{name}']")
        return visit(served.url + link.get("href"), root)

    first = visit(f"{served.url}/?until=2021-01-01", root)
    assert numbers(first) == everything[:50]
    assert first.text("//*[@id='page-words']") == f"Jobs 1 to 50 of {COUNT}"
    assert not first.all("//a[@rel='prev']")
    second = followed(first, "next")
    assert numbers(second) == everything[50:100]
    assert second.text("//*[@id='page-words']") == f"Jobs 51 to 100 of {COUNT}"
    third = followed(second, "next")
    assert (numbers(third), third.all("//a[@rel='next']")) == (everything[100:], [])
    last = followed(first, "last")
    assert numbers(last) == everything[-50:]
    assert last.text("//*[@id='page-words']") == f"Jobs {COUNT - 49} to {COUNT} of {COUNT}"
    assert numbers(followed(third, "previous")) == everything[50:100]
    assert numbers(followed(followed(last, "previous"), "previous")) == everything[:50], "the first page is whole"
    assert numbers(followed(last, "first")) == everything[:50]
    assert "until=2021-01-01" in last.url, "the search stays in the address"


def test_what_others_own_is_found_by_no_search(people: People) -> None:
    served, ann = people.served, people.ann
    mine = [number for number in reversed(range(COUNT)) if stored(number).owner in ("ann", None)]
    assert listed(served, ann, until="2021-01-01") == mine
    assert listed(served, ann, q="0000") == mine
    assert listed(served, ann, owner="ben") == []
    assert not visit(served.url, ann).all("//*[@id='f-owner']"), "owners are a matter of admins"


# --- several at once ---------------------------------------------------------------------------------------


def started(served: Served, **form: str) -> str:
    answer = requests.post(f"{served.url}/rest/dummy", data=form, allow_redirects=False, timeout=300)
    return answer.headers["Location"]


def chosen(page: Page, action: str, ids: list[str]) -> Page:
    """What the button of the list answers for some jobs."""
    (form,) = (form for form in page.tree.forms if form.get("id") == "selection")
    fields = [*form.form_values(), *(("job", job_id) for job_id in ids), ("action", action)]
    address = page.url.partition("/?")[0].rstrip("/") + "/jobs/selected"
    return Page(page.session, page.session.post(address, data=fields, timeout=300))


def confirmed(page: Page) -> Page:
    (form,) = (form for form in page.tree.forms if form.action.endswith("/jobs/selected"))
    address = re.sub(r"/jobs/.*", "/jobs/selected", page.url)
    return Page(page.session, page.session.post(address, data=form.form_values(), timeout=300))


def phase(job: str) -> str:
    return requests.get(f"{job}/phase", timeout=300).text


def test_jobs_are_aborted_together_and_it_is_said_which_could_not_be(served: Served) -> None:
    running = [started(served, seconds="600", PHASE="RUN") for _ in range(2)]
    pending, ended = started(served, RUNID="waits"), started(served, PHASE="RUN")
    until(lambda: phase(ended) == "COMPLETED" and all(phase(job) == "EXECUTING" for job in running))
    ids = [job[-32:] for job in (*running, pending, ended)]
    page = visit(f"{served.url}/?definition=dummy")
    asked = chosen(page, "abort", ids)
    assert asked.text("//h1") == "Abort 3 jobs?"
    assert "It is COMPLETED: it can no longer be aborted" in asked.text("//section")
    assert [phase(job) for job in (*running, pending)] == ["EXECUTING", "EXECUTING", "PENDING"], "nothing is done yet"
    done = confirmed(asked)
    assert done.text("//h1") == "3 jobs aborted"
    assert [phase(job) for job in (*running, pending, ended)] == ["ABORTED"] * 3 + ["COMPLETED"]
    assert asked.all("//a[text()='Back to the list']")[0].get("href") == "/?definition=dummy"


def test_jobs_are_deleted_together_running_ones_after_they_are_aborted(served: Served) -> None:
    running, pending = started(served, seconds="600", PHASE="RUN"), started(served)
    until(lambda: phase(running) == "EXECUTING")
    gone = started(served)
    ids = [job[-32:] for job in (running, pending, gone)]
    page = visit(served.url)
    requests.delete(gone, timeout=300)
    asked = chosen(page, "delete", [*ids, "0" * 32])
    assert asked.text("//h1") == "Delete 2 jobs?"
    assert "2 jobs of these wait or run and are aborted first." in asked.text()
    assert "This cannot be undone" in asked.text()
    assert asked.text("//section").count("it was deleted, its destruction time came, or it never was") == 2
    assert confirmed(asked).text("//h1") == "2 jobs deleted"
    assert [requests.get(job, timeout=300).status_code for job in (running, pending)] == [404, 404]


def test_a_form_that_chooses_nothing_too_much_or_what_is_not_ones_own(people: People) -> None:
    served = people.served
    page = visit(served.url)
    assert chosen(page, "delete", []).text("//h1") == "Nothing to delete"
    assert chosen(page, "eat", [new_id()]).status == 400
    assert chosen(page, "delete", [new_id() for _ in range(201)]).status == 400
    theirs = visit(f"{served.url}/?owner=ben", people.root).all("//tbody/tr")[0].get("data-id")
    assert "belongs to an account: sign in" in chosen(page, "delete", [theirs]).text("//section")
    without = requests.post(f"{served.url}/jobs/selected", data={"action": "delete", "job": theirs}, timeout=300)
    assert without.status_code == 403


def test_a_page_is_ticked_without_javascript(served: Served) -> None:
    page = visit(f"{served.url}/?definition=dummy")
    assert not page.all("//input[@name='job'][@checked]")
    (link,) = page.all("//a[text()='Select all on this page']")
    ticked = visit(served.url + link.get("href"))
    assert len(ticked.all("//input[@name='job'][@checked]")) == len(ticked.all("//tbody/tr")) > 1
    assert not ticked.all("//noscript/meta"), "a reload would not keep what is ticked by hand"


def test_a_job_that_nobody_owns_is_in_the_pages_of_its_maker(tmp_path: Path) -> None:
    """On a server where such jobs are in no list: those whose keys the browser has."""
    with running_server(tmp_path, anonymous="unlisted") as served:
        session = requests.Session()
        page = visit(f"{served.url}/new/dummy", session)
        made = [page.send("/new/dummy", {"PHASE": "RUN"}) for _ in range(3)]
        assert len({one.url for one in made}) == 3
        assert len(visit(served.url, session).all("//tbody/tr")) == 3
        assert len(visit(f"{served.url}/?order=oldest&definition=dummy", session).all("//tbody/tr")) == 3
        assert visit(served.url).all("//tbody/tr") == []
