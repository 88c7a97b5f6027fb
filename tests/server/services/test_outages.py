"""The disk full, the database gone: each is told as what it is, with one line of log, and passes."""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from asking import Asking
from joblab import Lab
from postgres import Cluster
from processes import until
from serving import HURRIED, PROGRAM
from uws_server.storage import migrate
from uws_server.storage.failures import meaning_of
from uws_server.storage.files import JobFiles
from uws_server.storage.outages import Outage

DOORS = ("/rest/dummy", "/rest/dummy/" + "0" * 32, "/rest/dummy/" + "0" * 32 + "/phase", "/")


@pytest.fixture
def asking(tmp_path: Path) -> Iterator[Asking]:
    application = Asking(tmp_path / "data")
    yield application
    application.close()


def cut(asking: Asking) -> None:
    """Give the database no more pages than it has: what SQLite says then is what it says on a full disk."""
    engine = asking.services.store.engine
    with engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    engine.dispose()
    sqlite = sqlite3.connect

    def small(*arguments: object, **options: object) -> sqlite3.Connection:
        connection: sqlite3.Connection = sqlite(*arguments, **options)  # type: ignore[call-overload]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    engine.dialect.dbapi.connect = small  # type: ignore[union-attr,attr-defined]


def test_a_database_without_room_is_told_with_507(
    asking: Asking, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialect = asking.services.store.engine.dialect.dbapi
    monkeypatch.setattr(dialect, "connect", dialect.connect)  # type: ignore[union-attr]
    cut(asking)
    caplog.set_level(logging.ERROR)
    answers = [asking.ask("POST", "/rest/dummy", "text=" + "x" * 500) for _ in range(100)]
    assert {answer.status for answer in answers} == {303, 507}
    assert "the disk of the server is full" in answers[-1].text
    assert [record.exc_info for record in caplog.records] == [None] * [answer.status for answer in answers].count(507)
    assert asking.get("/rest/dummy").status == 200


def test_a_folder_without_room_is_told_with_507(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/secret/place")

    monkeypatch.setattr(JobFiles, "spool", full)
    answer = asking.ask("PUT", f"{made(asking)}/parameters/text", "x")
    assert answer.status == 507
    assert "secret" not in answer.text


def made(asking: Asking) -> str:
    return asking.ask("POST", "/rest/dummy", "text=x").headers["location"]


def test_a_database_that_is_gone_is_told_with_503_and_comes_back(
    postgres: Cluster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with postgres.lent_database() as url:
        migrate.upgrade(url)
        asking = Asking(tmp_path / "data", database=url)
        job = made(asking)
        assert asking.get(job).status == 200
        engine = asking.services.store.engine
        connect = engine.dialect.connect

        def refused(*arguments: object, **options: object) -> object:
            return connect(host="127.0.0.1", port=1, dbname="nothing", connect_timeout=2)

        engine.dialect.connect = refused  # type: ignore[method-assign]
        asking.services.store.reader.close()
        engine.dispose()
        caplog.set_level(logging.ERROR)
        for address in (job, f"{job}/phase", *DOORS):
            answer = asking.get(address)
            assert (answer.status, answer.headers.get("retry-after")) == (503, "10"), address
            assert "database of the server does not answer" in answer.text
        assert not [record for record in caplog.records if record.exc_info or "\n" in record.getMessage()]
        assert "<available>false" in asking.get("/availability").text.replace("vosi:", "")
        engine.dialect.connect = connect  # type: ignore[method-assign]
        assert asking.get(f"{job}/phase").text == "PENDING"
        asking.close()


@pytest.mark.parametrize("fault", [ValueError("x"), OSError(errno.EACCES, "x"), sqlite3.IntegrityError("x"), None])
def test_a_fault_of_the_server_is_no_outage(fault: Exception | None) -> None:
    assert meaning_of(fault) is None


def test_an_outage_is_one_line_however_often_it_is_met(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    outage = Outage(logging.getLogger("x"), "the queue")
    full = OSError(errno.ENOSPC, "no room")
    pauses = [outage.failed(full) for _ in range(20)]
    assert pauses == sorted(pauses)
    assert pauses[0] == 1.0
    assert pauses[-1] == 5.0
    outage.over()
    outage.over()
    begun, over = (record.getMessage() for record in caplog.records)
    assert begun.startswith("the queue waits: the disk of the server is full")
    assert over == "the queue goes on after 0 seconds"
    assert outage.failed(full) == 1.0
    assert len(caplog.records) == 3


def test_a_fault_of_the_server_keeps_its_traceback_and_a_new_one_is_told(caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage(logging.getLogger("x"), "the queue")
    for error in (ValueError("one"), ValueError("one"), KeyError("two")):
        outage.failed(error)
    assert [record.getMessage() for record in caplog.records] == [
        "the queue waits: ValueError('one')",
        "the queue waits: KeyError('two')",
    ]
    assert all(record.exc_info for record in caplog.records)


def test_a_server_whose_database_goes_says_so_in_few_lines_and_goes_on(postgres: Cluster, tmp_path: Path) -> None:
    """The server as it is run: the database refuses connections until the log has told it, and is let in again."""
    with postgres.lent_database() as url:
        lab = Lab(tmp_path, url)
        name = url.rpartition("/")[2]
        with lab.serving(program=HURRIED + PROGRAM) as served:
            assert lab.run().ended() == "COMPLETED"
            begun = len(told(served.log))
            postgres.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
            until(lambda: len(told(served.log)) >= begun + 2, 300, "queue and listener notice it")
            for _ in range(40):
                assert lab.session.get(f"{served.url}/availability").status_code == 200
                time.sleep(0.1)
            assert "<vosi:available>false" in lab.session.get(f"{served.url}/availability").text
            postgres.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
            until(lambda: sum("goes on after" in line for line in told(served.log)) >= 2, 300, "both go on")
            assert lab.run().ended() == "COMPLETED"
        text = served.log.read_text()
        lab.close()
    assert "Traceback" not in text
    waits = [line for line in text.splitlines() if " waits: " in line]
    assert len(waits) == len({line.partition(" waits: ")[0].rpartition(" ERROR ")[2] for line in waits}) <= 4, text


def told(log: Path) -> list[str]:
    """What the log says of what waits and goes on."""
    return [line for line in log.read_text().splitlines() if " waits: " in line or "goes on after" in line]
