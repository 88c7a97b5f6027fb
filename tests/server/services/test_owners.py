"""Owners over HTTP: policies for anonymous callers, accounts, share links, quotas, proxies."""

from __future__ import annotations

import base64
import re
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from lxml import etree

from accounts import account
from serving import run_command, running_server
from uws_server.config import Config
from uws_server.errors import ConfigurationError, Forbidden, Unauthorized
from uws_server.jobs.job import Job, new_id, utcnow
from uws_server.jobs.phases import Phase
from uws_server.services.rights import Anonymous, Caller, Rights, rights_of

UWS = "{http://www.ivoa.net/xml/UWS/v1.0}"
XLINK = "{http://www.w3.org/1999/xlink}"


def create(url: str, who: tuple[str, str] | None, **values: str) -> str:
    answer = requests.post(f"{url}/rest/dummy", data=values, auth=who, allow_redirects=False, timeout=300)
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"]


def listed(url: str, who: tuple[str, str] | None) -> set[str]:
    answer = requests.get(f"{url}/rest/dummy", auth=who, timeout=300)
    assert answer.status_code == 200, answer.text
    return {str(ref.get(f"{XLINK}href")) for ref in etree.fromstring(answer.content).iterfind(f"{UWS}jobref")}


def ended(job: str, who: tuple[str, str] | None) -> str:
    deadline = time.monotonic() + 300
    while (phase := requests.get(f"{job}/phase", auth=who, timeout=300).text) in ("QUEUED", "EXECUTING"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return phase


@dataclass(frozen=True)
class House:
    """A server with three accounts."""

    url: str
    ann: tuple[str, str]
    bob: tuple[str, str]
    admin: tuple[str, str]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    data = tmp_path_factory.mktemp("owners")
    with running_server(data) as served:
        yield House(served.url, account(data, "ann"), account(data, "bob"), account(data, "root", "--admin"))


def test_a_job_is_seen_by_its_owner_and_admins_only(house: House) -> None:
    job = create(house.url, house.ann, text="secret of ann", PHASE="RUN")
    assert ended(job, house.ann) == "COMPLETED"
    document = etree.fromstring(requests.get(job, auth=house.ann, timeout=300).content)
    assert document.findtext(f"{UWS}ownerId") == "ann"
    page = f"{house.url}/jobs/{job[-32:]}"
    private = [job, f"{job}/phase", f"{job}/parameters", f"{job}/parameters/text", f"{job}/results"]
    private += [
        f"{job}/results/result",
        f"{job}/stdout",
        f"{job}/results/log",
        page,
        f"{page}/state",
        f"{page}/all.tar",
    ]
    for address in private:
        assert requests.get(address, auth=house.ann, timeout=300).status_code == 200, address
        assert requests.get(address, auth=house.admin, timeout=300).status_code == 200, address
        for who, status in ((house.bob, 403), (None, 401)):
            answer = requests.get(address, auth=who, timeout=300)
            assert answer.status_code == status, address
            assert "secret of ann" not in answer.text
            assert job[-32:] in answer.text  # the sentence says which job
            assert ("WWW-Authenticate" in answer.headers) == (status == 401)
    assert job in listed(house.url, house.ann)
    assert job in listed(house.url, house.admin)
    assert job not in listed(house.url, house.bob)
    assert job not in listed(house.url, None)


def test_only_the_owner_and_admins_change_a_job(house: House) -> None:
    job = create(house.url, house.ann)
    for who, status in ((house.bob, 403), (None, 401)):
        for change in ({"text": "mine now"}, {"PHASE": "RUN"}, {"PHASE": "ABORT"}, {"ACTION": "DELETE"}):
            answer = requests.post(job, data=change, auth=who, allow_redirects=False, timeout=300)
            assert answer.status_code == status, change
        assert requests.delete(job, auth=who, allow_redirects=False, timeout=300).status_code == status
    assert requests.get(f"{job}/phase", auth=house.ann, timeout=300).text == "PENDING"
    assert requests.get(f"{job}/parameters/text", auth=house.ann, timeout=300).text == "hello"
    assert requests.delete(job, auth=house.admin, allow_redirects=False, timeout=300).status_code == 303


def test_bearer_and_basic_mean_the_same(house: House) -> None:
    job = create(house.url, house.ann)
    bearer = {"Authorization": f"Bearer {'.'.join(house.ann)}"}
    assert requests.get(job, headers=bearer, timeout=300).status_code == 200
    nobody = {"Authorization": "Basic " + base64.b64encode(b":").decode()}
    assert requests.get(f"{house.url}/rest/dummy", headers=nobody, timeout=300).status_code == 200


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Basic !!", 400),
        ("Digest x", 401),
        ("Bearer ann.wrong", 401),
        ("Basic YW5uOndyb25n", 401),
        ("Bearer nobody.x", 401),
    ],
)
def test_wrong_credentials_are_refused_with_a_sentence(house: House, header: str, status: int) -> None:
    answer = requests.get(f"{house.url}/rest/dummy", headers={"Authorization": header}, timeout=300)
    assert answer.status_code == status
    assert answer.text.count("\n") == 1
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)


def test_a_share_link_shows_the_job_and_no_more(house: House) -> None:
    job = create(house.url, house.ann, text="shared", PHASE="RUN")
    ended(job, house.ann)
    page = f"{house.url}/jobs/{job[-32:]}"
    session = requests.Session()
    session.auth = house.ann
    form = session.get(page, timeout=300).text
    token = form.partition('name="_token" value="')[2].partition('"')[0]
    assert session.post(f"{page}/share", data={"_token": token}, timeout=300).status_code == 200
    link = session.get(page, timeout=300).text.partition('id="share-link">')[2].partition("<")[0]
    assert link.startswith(f"{page}?share=")
    shared = requests.get(link, timeout=300)
    assert shared.status_code == 200
    assert "shared" in shared.text
    assert 'id="delete-' not in shared.text
    share = {"share": link.partition("share=")[2]}
    assert requests.get(f"{job}/results/result", params=share, timeout=300).text == "shared\n"
    assert requests.get(f"{job}/sync", params=share, timeout=300).text == "shared\n"
    for address in (job, f"{job}/results"):  # a program goes on by what stands in the document
        found = re.findall(r'xlink:href="([^"]+)"', requests.get(address, params=share, timeout=300).text)
        assert len(found) == 2
        assert {requests.get(one, timeout=300).status_code for one in found} == {200}
    assert "shared" in requests.get(job, params=share, headers={"Accept": "text/html"}, timeout=300).text
    assert requests.post(f"{job}/phase", params={**share, "PHASE": "ABORT"}, timeout=300).status_code == 403
    assert requests.get(job, params={"share": "0" * 32}, timeout=300).status_code == 401
    assert session.post(f"{page}/unshare", data={"_token": token}, timeout=300).status_code == 200
    assert requests.get(link, timeout=300).status_code == 401


def test_a_new_token_makes_the_old_one_void_at_once(tmp_path: Path) -> None:
    with running_server(tmp_path) as served:
        who = account(tmp_path, "eve")
        job = create(served.url, who)
        assert requests.get(job, auth=who, timeout=300).status_code == 200
        made = run_command("accounts", "token", "eve", "--data", str(tmp_path))
        assert made.returncode == 0, made.stderr
        token = made.stdout.strip()
        assert requests.get(job, auth=who, timeout=300).status_code == 401
        assert requests.get(job, auth=("eve", token), timeout=300).status_code == 200


def test_listed_anonymous_callers_see_each_others_jobs(house: House) -> None:
    job = create(house.url, None)
    assert job in listed(house.url, None)
    assert job in listed(house.url, house.bob)


def test_unlisted_anonymous_jobs_are_found_by_their_whole_address_only(tmp_path: Path) -> None:
    with running_server(tmp_path, anonymous="unlisted") as served:
        job = create(served.url, None)
        assert requests.get(job, timeout=300).status_code == 200
        assert listed(served.url, None) == set()
        assert requests.delete(job, allow_redirects=False, timeout=300).status_code == 303


def test_a_key_opens_its_own_job_and_no_other() -> None:
    rights, owner = Rights(Anonymous.UNLISTED), "ann"
    mine, other, hers = (
        Job(new_id(), "dummy", "1", Phase.PENDING, utcnow(), 1, utcnow(), owner=who) for who in (None, None, owner)
    )
    for caller in (Caller(opened=frozenset({mine.id, hers.id})), Caller("bob", opened=frozenset({mine.id, hers.id}))):
        assert (rights.may_look(caller, mine), rights.may_change(caller, mine)) == (True, True)
        assert not rights.may_look(caller, other)
        assert not rights.may_look(caller, hers), "a job that has an owner has no key"
    with pytest.raises(Forbidden, match="made without an account: it opens at the whole address"):
        rights.require_look(Caller(), mine)
    assert not Rights(Anonymous.REFUSED).may_look(Caller("bob", opened=frozenset({mine.id})), mine)


def test_refused_anonymous_callers_get_nothing(tmp_path: Path) -> None:
    with running_server(tmp_path, anonymous="refused") as served:
        who = account(tmp_path, "ann")
        assert requests.post(f"{served.url}/rest/dummy", timeout=300).status_code == 401
        assert requests.get(f"{served.url}/rest/dummy", timeout=300).status_code == 401
        assert requests.get(f"{served.url}/", timeout=300).status_code == 401
        job = create(served.url, who)
        assert requests.get(job, timeout=300).status_code == 401
        assert listed(served.url, who) == {job}


@pytest.mark.parametrize(
    ("host", "anonymous", "policy"),
    [("127.0.0.1", "", "listed"), ("::1", "", "listed"), ("localhost", "", "listed"), ("0.0.0.0", "", "unlisted"),
     ("192.0.2.7", "", "unlisted"), ("192.0.2.7", "listed", "listed"), ("127.0.0.1", "refused", "refused")],
)  # fmt: skip
def test_the_policy_follows_the_address_unless_it_is_configured(host: str, anonymous: str, policy: str) -> None:
    assert rights_of(Config.of(host=host, anonymous=anonymous)).anonymous == policy


def test_an_unknown_policy_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="one of listed, unlisted, refused"):
        rights_of(Config.of(anonymous="perhaps"))


def test_quotas_are_told_with_their_figures(tmp_path: Path) -> None:
    with running_server(tmp_path, max_active=1, max_stored="1 MB", max_running=1) as served:
        who = account(tmp_path, "ann")
        rich = account(tmp_path, "rich", "--max-active", "2", "--max-stored", "4MB")
        create(served.url, who, seconds="120", EXECUTIONDURATION="120", PHASE="RUN")
        second = create(served.url, who)
        refused = requests.post(f"{second}/phase", data={"PHASE": "RUN"}, auth=who, timeout=300)
        assert refused.status_code == 403
        assert "1 active jobs, 1 are allowed" in refused.text
        for _ in range(2):
            create(served.url, rich, seconds="120", EXECUTIONDURATION="120", PHASE="RUN")
        # what comes first is what is stored: the upload itself
        content = b"SIMPLE  = " + b" " * 1_500_000
        for owner, status in ((who, 403), (rich, 303)):
            answer = requests.post(
                f"{served.url}/rest/spectrum",
                files={"eventlist": content},
                auth=owner,
                allow_redirects=False,
                timeout=300,
            )
            assert answer.status_code == status, answer.text
        assert (
            requests.post(
                f"{served.url}/rest/spectrum",
                files={"eventlist": content},
                auth=rich,
                allow_redirects=False,
                timeout=300,
            ).status_code
            == 303
        )
        full = requests.post(
            f"{served.url}/rest/spectrum", files={"eventlist": content}, auth=rich, allow_redirects=False, timeout=300
        )
        assert full.status_code == 403
        assert "4.0 MB are allowed" in full.text
        assert list((tmp_path / "incoming").glob("upload-*")) == []


def test_too_many_wrong_tokens_from_one_address_have_to_wait(tmp_path: Path) -> None:
    with running_server(tmp_path, proxies="127.0.0.1") as served:
        account(tmp_path, "ann")

        def attempt(address: str) -> int:
            headers = {"X-Forwarded-For": f"10.0.0.9, {address}"}
            return requests.get(
                f"{served.url}/rest/dummy", auth=("ann", "no"), headers=headers, timeout=300
            ).status_code

        assert [attempt("192.0.2.1") for _ in range(22)] == [401] * 20 + [429] * 2
        assert attempt("192.0.2.2") == 401
        headers = {"X-Forwarded-For": "192.0.2.1"}
        refused = requests.get(f"{served.url}/rest/dummy", auth=("ann", "no"), headers=headers, timeout=300)
        assert refused.headers["Retry-After"] == "60"


def test_a_forwarding_header_is_not_believed_from_just_anyone(tmp_path: Path) -> None:
    with running_server(tmp_path) as served:
        account(tmp_path, "ann")
        codes = [
            requests.get(
                f"{served.url}/rest/dummy",
                auth=("ann", "no"),
                headers={"X-Forwarded-For": f"192.0.2.{number}"},
                timeout=300,
            ).status_code
            for number in range(21)
        ]
        assert codes == [401] * 20 + [429]


def test_accounts_tells_its_quotas_and_takes_none_that_makes_no_sense(tmp_path: Path) -> None:
    data = tmp_path / "data"

    def accounts(*options: str) -> subprocess.CompletedProcess[str]:
        return run_command("accounts", *options[:1], "--data", str(data), *options[1:])

    first = accounts("add", "ann", "--max-active", "4", "--max-stored", "50GB", "--max-running", "2")
    assert f"{data} was not there: a new database was made in it\n" in first.stderr
    for option, text in (
        ("--max-active", "-1"),
        ("--max-active", "many"),
        ("--max-running", "x"),
        ("--max-stored", "-5"),
    ):
        for command in (("add", "bob"), ("change", "ann")):
            refused = accounts(*command, f"{option}={text}")
            assert refused.returncode == 2
            assert f"{option} '{text}': " in refused.stderr, "it names the option, and what came"
    free = accounts("add", "bob", "--max-active", "0", "--max-stored", "0")
    assert (free.returncode, free.stderr) == (0, "Keep the token: it is not shown again.\n")
    (tmp_path / "file").touch()
    for command in ("list", "token ann", "remove ann", "disable ann", "roles ann expert"):
        mistyped = accounts(*command.split(), "--data", str(tmp_path / "dato"))
        assert mistyped.returncode == 2 and not (tmp_path / "dato").exists()
        assert mistyped.stderr.endswith("dato: there is no such folder; --data is the folder of the server\n")
    nowhere = accounts("add", "eve", "--data", str(tmp_path / "file/data"))
    assert (nowhere.returncode, nowhere.stdout) == (2, "")
    assert nowhere.stderr.endswith("/file/data: Not a directory\n")
    assert "give --admin or --no-admin" in accounts("change", "ann").stderr
    assert accounts("change", "nobody", "--admin").returncode == 2
    ann, bob = accounts("list").stdout.splitlines()
    assert ann.split()[2:] == ["max-active:", "4", "max-running:", "2", "max-stored:", "50", "GB"]
    assert bob.split()[2:] == ["max-active:", "0", "max-stored:", "0", "GB"]


def test_an_account_is_changed_and_disabled_while_the_server_runs(tmp_path: Path) -> None:
    with running_server(tmp_path, max_active=1, max_running=1) as served:
        who = account(tmp_path, "ann")

        def accounts(*options: str) -> str:
            done = run_command("accounts", *options, "--data", str(tmp_path))
            assert done.returncode == 0, done.stderr
            return done.stdout

        def status() -> int:
            return requests.get(f"{served.url}/rest/dummy", auth=who, timeout=300).status_code

        others = create(served.url, None)
        hers = create(served.url, who, seconds="120", EXECUTIONDURATION="120", PHASE="RUN")
        waiting = create(served.url, who)
        accounts("change", "ann", "--max-active", "3", "--max-stored", "2GB", "--admin")
        assert requests.post(f"{waiting}/phase", data={"PHASE": "RUN"}, auth=who, timeout=300).status_code == 200
        assert accounts("list").split()[2:] == ["admin", "max-active:", "3", "max-stored:", "2", "GB"]
        assert requests.get(others, auth=who, timeout=300).status_code == 200
        accounts("change", "ann", "--no-admin", "--max-active", "default", "--max-stored", "default")
        assert accounts("list").split()[2:] == []
        accounts("disable", "ann")
        assert status() == 401
        assert accounts("list").split()[2:] == ["disabled"]
        accounts("enable", "ann")
        assert status() == 200
        assert requests.get(f"{hers}/phase", auth=who, timeout=300).text in ("QUEUED", "EXECUTING")


@pytest.mark.parametrize("policy", list(Anonymous))
@pytest.mark.parametrize("owner", ["ann", None])
@pytest.mark.parametrize(
    "caller", [Caller("ann"), Caller("bob"), Caller("root", is_admin=True), Caller(), Caller(share="a token")]
)
def test_who_may_is_who_is_not_refused(policy: Anonymous, owner: str | None, caller: Caller) -> None:
    rights = Rights(policy)
    job = Job(new_id(), "dummy", "1", Phase.PENDING, utcnow(), 1, utcnow(), owner=owner, share="a token")
    for may, require in ((rights.may_look, rights.require_look), (rights.may_change, rights.require_change)):
        try:
            require(caller, job)
        except (Forbidden, Unauthorized):
            assert not may(caller, job)
        else:
            assert may(caller, job)
    nobodys = owner is None and policy is Anonymous.LISTED
    assert rights.may_change(caller, job) is (caller.is_admin or caller.name == owner == "ann" or nobodys)
    assert rights.may_look(caller, job) is (rights.may_change(caller, job) or caller.share is not None)


def test_wrong_tokens_of_others_behind_the_same_address_shut_nobody_out(tmp_path: Path) -> None:
    with running_server(tmp_path) as served:
        ann, bob = account(tmp_path, "ann"), account(tmp_path, "bob")

        def attempt(who: tuple[str, str]) -> int:
            return requests.get(f"{served.url}/rest/dummy", auth=who, timeout=300).status_code

        assert {attempt(("ann", f"no{number}")) for number in range(25)} == {401, 429}
        assert attempt(ann) == attempt(bob) == 200, "a right token gets in, whether it was used before or not"
        assert attempt(("bob", ann[1])) == attempt(("nobody", ann[1])) == 429, "but it is no other account's"


def test_no_more_pass_a_quota_by_coming_at_once(tmp_path: Path) -> None:
    content = b"SIMPLE  = " + b" " * 700_000
    with running_server(tmp_path, max_active=2, max_stored="2 MB", max_running=1) as served:
        who = account(tmp_path, "ann")
        pending = [create(served.url, who, seconds="120", EXECUTIONDURATION="120") for _ in range(12)]

        def run(job: str) -> int:
            asked = {"PHASE": "RUN"}
            return requests.post(f"{job}/phase", asked, auth=who, allow_redirects=False, timeout=300).status_code

        def upload(_job: str) -> int:
            return requests.post(
                f"{served.url}/rest/spectrum",
                files={"eventlist": content},
                auth=who,
                allow_redirects=False,
                timeout=300,
            ).status_code

        with ThreadPoolExecutor(12) as pool:
            assert sorted(pool.map(run, pending)) == [303] * 2 + [403] * 10
            assert sorted(pool.map(upload, pending)) == [303] * 2 + [403] * 10
