"""The page for admins without JavaScript: who may see it, what it shows, what its buttons do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from accounts import account
from joblab import Lab, Remote
from pagereader import AS_BROWSER, Page, token_of
from processes import until


@pytest.fixture
def lab(tmp_path_factory: pytest.TempPathFactory, database_url: str) -> Iterator[Lab]:
    """A server that runs one job at a time, with an admin and another account."""
    made = Lab(tmp_path_factory.mktemp("admin"), database_url)
    with made.serving(max_running=1):
        (made.root / "server.toml").write_text(f"[folders]\ndatabase = {database_url!r}\n", encoding="utf-8")
        yield made
    made.close()


def named(lab: Lab, name: str, *options: str) -> requests.Session:
    session = requests.Session()
    session.auth = account(lab.data, name, "--config", str(lab.root / "server.toml"), *options)
    return session


def visit(lab: Lab, session: requests.Session, path: str = "/admin") -> Page:
    assert lab.served is not None
    return Page(session, session.get(f"{lab.served.url}{path}", headers=AS_BROWSER, timeout=300))


def rows(page: Page, section: str) -> list[str]:
    return [" ".join(row.text_content().split()) for row in page.all(f"//section[@id='{section}']//tbody/tr")]


def running(lab: Lab, gate: str = "gate", session: requests.Session | None = None) -> Remote:
    lab.session = session or requests.Session()
    job = lab.run(gate=str(lab.root / gate))
    until(lambda: job.phase() == "EXECUTING")
    return job


def test_it_is_for_admins(lab: Lab) -> None:
    assert lab.served is not None
    root, bob = named(lab, "root", "--admin"), named(lab, "bob")
    assert visit(lab, requests.Session()).status == 401
    assert visit(lab, bob).status == 403
    assert visit(lab, root).status == 200
    assert "Admin" in visit(lab, root, "/").text("//header//nav")
    assert "Admin" not in visit(lab, bob, "/").text("//header//nav")
    job = running(lab)
    token = token_of(visit(lab, bob, "/new/track"))
    for path in ("/admin/drain", "/admin/undrain", f"/admin/jobs/{job.id}/abort", f"/admin/jobs/{job.id}/hold"):
        sent = bob.post(lab.served.url + path, {"_token": token}, headers=AS_BROWSER, timeout=300)
        assert sent.status_code == 403, path
        without = root.post(lab.served.url + path, {}, headers=AS_BROWSER, timeout=300)
        assert (without.status_code, "was not sent from a page" in without.text) == (403, True), path
    assert job.phase() == "EXECUTING"


def test_it_shows_what_runs_what_waits_and_who_holds_the_disk(lab: Lab) -> None:
    root, bob = named(lab, "root", "--admin"), named(lab, "bob")
    assert "No job runs" in visit(lab, root).text()
    first = running(lab, session=bob)
    lab.session = requests.Session()
    waiting = [lab.run(label="a"), lab.run("fails"), lab.run(label="b")]
    page = visit(lab, root)
    assert page.text("//p[@class='lead']").startswith("1 job runs, 3 wait")
    (row,) = rows(page, "running")
    assert row.startswith(f"{first.id[:8]} track bob")
    until(lambda: rows(visit(lab, root), "running")[0].count(" s ") == 1, what="what it uses is shown")
    assert [row.split()[:4] for row in rows(page, "queue")] == [
        [str(place), job.id[:8], name, "–"]
        for place, (job, name) in enumerate(zip(waiting, ["track", "fails", "track"], strict=True), start=1)
    ]
    assert rows(page, "backlog") == ["track21", "fails10"]
    (lab.root / "gate").touch()
    assert [job.ended() for job in waiting] == ["COMPLETED", "ERROR", "COMPLETED"]
    disk = rows(visit(lab, root), "disk")
    assert {row.split("KiB")[0].rstrip("0123456789. ").removesuffix("B") for row in disk} >= {
        "bob",
        "Without an account",
    }


def test_its_buttons_abort_and_hold(lab: Lab) -> None:
    root = named(lab, "root", "--admin")
    first = running(lab)
    held, later = lab.run(label="held"), lab.run(label="later")
    page = visit(lab, root).send(f"{held.id}/hold")
    assert (page.status, held.phase()) == (200, "HELD")
    page = page.send(f"{first.id}/abort")
    assert (page.status, first.phase()) == (200, "ABORTED")
    assert later.ended() == "COMPLETED"
    assert held.phase() == "HELD"


def test_it_drains_the_queue_and_lets_it_go_on(lab: Lab) -> None:
    root = named(lab, "root", "--admin")
    first = running(lab)
    page = visit(lab, root).send("/admin/drain", {"why": "upgrade <b>soon</b>"})
    assert "drained by root since" in page.text("//section[@id='drain']")
    assert "upgrade <b>soon</b>" in page.text("//section[@id='drain']")
    assert "One job still runs" in page.text("//section[@id='drain']")
    waits = lab.run()
    (lab.root / "gate").touch()
    assert first.ended() == "COMPLETED"
    until(lambda: "the server may be stopped" in visit(lab, root).text("//section[@id='drain']"))
    assert "upgrade <b>soon</b>" in visit(lab, root, f"/jobs/{waits.id}").text("//span[@id='stage']")
    assert waits.phase() == "QUEUED"
    page = visit(lab, root).send("/admin/undrain")
    assert "still runs" not in page.text("//section[@id='drain']")
    assert waits.ended() == "COMPLETED"
