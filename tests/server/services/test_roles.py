"""Who may write, make live and run a definition: every step tried by every kind of caller."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

import uwsjobs
from serving import SANDBOX, run_command, running_server
from uws_server.config import Config
from uws_server.errors import BadRequest, Forbidden, NotFound, Unauthorized
from uws_server.jobs.job import Job
from uws_server.services.accounts import Accounts
from uws_server.services.context import Services
from uws_server.services.drafts import Drafts
from uws_server.services.job_service import JobService
from uws_server.services.parameters import Request
from uws_server.services.rights import Caller
from uws_server.storage.accounts import AccountStore

CALLERS = {
    "anonymous": Caller(),
    "plain": Caller("paul"),
    "author": Caller("ann", roles=frozenset({"author"})),
    "holder": Caller("xena", roles=frozenset({"xmm", "other"})),
    "admin": Caller("root", is_admin=True),
}
KINDS = tuple(CALLERS)


def files(name: str, *roles: str) -> dict[str, str]:
    entry = {"type": "shell", "script": "run.sh"}
    document = {"name": name, "version": "1", "title": name, "entry": entry, "roles": roles}
    return {"job.json": json.dumps(document), "run.sh": "true\n"}


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    """A server with a definition for everybody, one for a role, one draft, and one that is asked for."""
    for name, roles in (("open", ()), ("closed", ("xmm", "ops"))):
        (tmp_path / "job_definitions" / name).mkdir(parents=True)
        for file, text in files(name, *roles).items():
            (tmp_path / "job_definitions" / name / file).write_text(text)
    made = Services(Config.of(data=tmp_path / "data", sandbox=SANDBOX), "http://x.org", tmp_path / "job_definitions")
    author = Drafts(made, CALLERS["author"])
    author.create(files("draft"))
    author.create(files("wanted", "xmm"))
    author.request("wanted", "")
    yield made
    made.store.close()


def outcome(use: Callable[[], object]) -> str:
    """'yes', or the status with which it was refused."""
    try:
        use()
    except (Unauthorized, Forbidden) as error:
        assert str(error).count("\n") == 0 and ("role" in str(error) or "admins" in str(error))
        return str(error.status)
    return "yes"


AUTHORS = {"anonymous": "401", "plain": "403", "author": "yes", "holder": "403", "admin": "yes"}
ADMINS = {"anonymous": "401", "plain": "403", "author": "403", "holder": "403", "admin": "yes"}
STEPS: dict[str, tuple[Callable[[Drafts], object], dict[str, str]]] = {
    "look at all": (lambda drafts: drafts.all(), AUTHORS),
    "look": (lambda drafts: drafts.get("draft"), AUTHORS),
    "create": (lambda drafts: drafts.create(files("new")), AUTHORS),
    "edit what is live": (lambda drafts: drafts.edit_live("open"), AUTHORS),
    "save": (lambda drafts: drafts.save("draft", 1, files("draft", "x")), AUTHORS),
    "check": (lambda drafts: drafts.problems(files("draft")), AUTHORS),
    "try": (lambda drafts: drafts.try_out("draft"), AUTHORS),
    "request": (lambda drafts: drafts.request("draft", ""), AUTHORS),
    "withdraw": (lambda drafts: drafts.withdraw("wanted"), AUTHORS),
    "discard": (lambda drafts: drafts.discard("draft"), AUTHORS),
    "history": (lambda drafts: drafts.history("open"), AUTHORS),
    "accept": (lambda drafts: drafts.accept("wanted", ""), ADMINS),
    "refuse": (lambda drafts: drafts.refuse("wanted", "no"), ADMINS),
    "remove": (lambda drafts: drafts.remove("open", "no"), ADMINS),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("kind", KINDS)
def test_who_may_do_what_with_definitions(services: Services, step: str, kind: str) -> None:
    use, expected = STEPS[step]
    before = services.definitions.drafts(), services.definitions.all(), services.library.by_name().keys()
    assert outcome(lambda: use(Drafts(services, CALLERS[kind]))) == expected[kind]
    if expected[kind] != "yes":
        services.library.look_now()
        after = services.definitions.drafts(), services.definitions.all(), services.library.by_name().keys()
        assert after == before


@pytest.mark.parametrize("kind", KINDS)
def test_who_may_look_at_revisions_and_restore_them(services: Services, kind: str) -> None:
    revision = services.library.get("open").revision
    drafts = Drafts(services, CALLERS[kind])
    assert outcome(lambda: drafts.files_of(revision)) == AUTHORS[kind]
    Drafts(services, CALLERS["admin"]).remove("open", "no")
    assert outcome(lambda: drafts.restore("open", revision, "yes")) == ADMINS[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_pages_know_what_they_may_offer(services: Services, kind: str) -> None:
    drafts = Drafts(services, CALLERS[kind])
    assert drafts.may_draft == (AUTHORS[kind] == "yes")
    assert drafts.may_validate == (ADMINS[kind] == "yes")


RUNNERS = {"anonymous": "401", "plain": "403", "author": "403", "holder": "yes", "admin": "yes"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_definition_with_roles_is_run_by_their_holders(services: Services, kind: str) -> None:
    job_service = JobService(services, CALLERS[kind])
    assert outcome(lambda: job_service.run(job_service.create("open", Request()))) == "yes"
    assert outcome(lambda: job_service.run(job_service.create("closed", Request()))) == RUNNERS[kind]
    if RUNNERS[kind] != "yes":
        with pytest.raises((Unauthorized, Forbidden), match="jobs of 'closed' are for accounts with the role xmm or o"):
            job_service.create("closed", Request())


def test_who_loses_the_role_runs_its_jobs_no_more(services: Services) -> None:
    job = JobService(services, CALLERS["holder"]).create("closed", Request())
    former = JobService(services, Caller("xena"))
    assert outcome(lambda: former.run(job)) == "403"
    assert services.store.get(job.id).phase == "PENDING"
    former.delete(job)  # it is still hers
    with pytest.raises(NotFound):
        services.store.get(job.id)


def test_a_role_that_a_new_version_asks_for_holds_for_jobs_of_the_old_one(services: Services) -> None:
    job_service = JobService(services, CALLERS["plain"])
    job = job_service.create("open", Request())
    author, admin = Drafts(services, CALLERS["author"]), Drafts(services, CALLERS["admin"])
    author.edit_live("open")
    restricted = files("open", "xmm")
    restricted["job.json"] = restricted["job.json"].replace('"version": "1"', '"version": "2"')
    author.save("open", 1, restricted)
    author.request("open", "")
    admin.accept("open", "")
    assert outcome(lambda: job_service.run(job)) == "403"


def test_a_trial_is_run_by_authors_only(services: Services) -> None:
    author = Drafts(services, CALLERS["author"])
    author.save("draft", 1, files("draft", "ops"))  # an author who has not the role may still try it
    job: Job = author.try_out("draft")
    services.life.end(services.store.get(job.id))
    making = JobService(services, CALLERS["author"])
    pending = making._store_new(making._accepted(services.library.of(job), Request(), trial=True))
    assert outcome(lambda: JobService(services, Caller("ann")).run(pending)) == "403"
    for kind in ("plain", "holder", "anonymous"):
        with pytest.raises((Unauthorized, Forbidden)):
            JobService(services, CALLERS[kind]).try_out(services.library.of(job), Request())


@pytest.mark.parametrize(
    ("roles", "said"),
    [
        (["admin"], "'admin' is no role: make the account with --admin"),
        (["XMM"], "'XMM' is not a small letter"),
        (["a b"], "'a b' is not"),
        ([""], "'' is not"),
        (["x" * 33], "is not a small letter"),
        ([f"r{i}" for i in range(101)], "101 came, at most 100"),
    ],
)
def test_a_role_is_a_small_word(services: Services, roles: list[str], said: str) -> None:
    accounts = Accounts(AccountStore(services.store.engine))
    with pytest.raises(BadRequest, match=said):
        accounts.create("rolf", roles=roles)
    assert accounts.all() == []
    token = accounts.create("rolf", roles=["xmm", "author", "xmm"])
    with pytest.raises(BadRequest, match=said):
        accounts.set_roles("rolf", roles)
    assert accounts.check("rolf", token, "").caller.roles == {"author", "xmm"}


# --- over HTTP, with accounts of the command -----------------------------------------------------------


def accounts_command(data: Path, *arguments: str) -> str:
    done = run_command("accounts", *arguments, "--data", str(data))
    return done.stdout if done.returncode == 0 else f"refused: {done.stderr}"


def test_roles_are_given_by_the_command_and_hold_at_once(tmp_path: Path) -> None:
    for name, roles in (("open", ()), ("closed", ("xmm",))):
        (tmp_path / "job_definitions" / name).mkdir(parents=True)
        for file, text in files(name, *roles).items():
            (tmp_path / "job_definitions" / name / file).write_text(text)
    data = tmp_path / "data"
    with running_server(data, definitions=tmp_path / "job_definitions") as server:
        xena = tuple(accounts_command(data, "add", "xena", "--role", "xmm", "--role", "author").split())
        paul = tuple(accounts_command(data, "add", "paul").split())
        listing = [line.split() for line in accounts_command(data, "list").splitlines()]
        assert [(words[0], words[2:]) for words in listing] == [("paul", []), ("xena", ["roles:", "author,", "xmm"])]

        def asked(who: tuple[str, ...] | None) -> requests.Response:
            return requests.post(f"{server.url}/rest/closed", auth=who, allow_redirects=False, timeout=300)

        assert asked(xena).status_code == 303
        for who, status in ((paul, 403), (None, 401)):
            assert asked(who).status_code == status
            assert "the role xmm" in asked(who).text
        assert accounts_command(data, "roles", "xena", "other") == ""
        assert asked(xena).status_code == 403
        assert accounts_command(data, "roles", "paul", "xmm") == ""
        assert asked(paul).status_code == 303
        assert accounts_command(data, "roles", "paul") == ""
        assert asked(paul).status_code == 403
        assert "no account 'eve'" in accounts_command(data, "roles", "eve", "xmm")
        assert "'XMM'" in accounts_command(data, "roles", "paul", "XMM")
        assert uwsjobs.create(server.url, "open").startswith(f"{server.url}/rest/open/")
