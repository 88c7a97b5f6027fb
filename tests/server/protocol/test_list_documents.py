"""The documents of job lists, byte for byte, against jobs filtered and written here; in both databases."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from asking import Asking
from uws_server.jobs.job import Filter, Job
from uws_server.jobs.phases import Phase
from uws_server.protocol.uws_xml import list_document
from uws_server.storage.rows import job_row
from uws_server.storage.tables import jobs

NOW = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
COUNT = 2500
"""More than two pages of a list."""
PHASES: tuple[tuple[Phase, ...], ...] = (
    (), (Phase.PENDING,), (Phase.ARCHIVED,), (Phase.ERROR, Phase.COMPLETED, Phase.ERROR), tuple(Phase),
)  # fmt: skip
AFTER = (None, "2026-11-20T12:00:00.123", "2026-11-20T12:00:00.124", "1960", "9999-12-31T23:59:59.999999")
LAST = (None, 1, 10, 1023, 1024, 1025, 10**19 - 1)
OWNERS: tuple[tuple[str | None, ...] | None, ...] = (None, (), (None,), ("ada", None), ("Eve & <co>",))
STYLE = "http://127.0.0.1/static/uws.xsl"
HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<?xml-stylesheet type="text/xsl" href="http://127.0.0.1/static/uws.xsl"?>\n'
    '<uws:jobs xmlns:uws="http://www.ivoa.net/xml/UWS/v1.0" xmlns:xlink="http://www.w3.org/1999/xlink" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" version="1.1">\n'
)
RUN_IDS = {
    None: "",
    'a <&> "b"': '<uws:runId>a &lt;&amp;&gt; "b"</uws:runId>',
    "a\rb": "<uws:runId>a&#13;b</uws:runId>",
}
OWNER_IDS = {
    None: "",
    "ada": "<uws:ownerId>ada</uws:ownerId>",
    "Eve & <co>": "<uws:ownerId>Eve &amp; &lt;co&gt;</uws:ownerId>",
}


@pytest.fixture(scope="module")
def made() -> list[Job]:
    """Jobs of two definitions, many of one moment, newest first."""
    dice = random.Random(1)
    apart = [timedelta(microseconds=dice.choice([0, 1, 400, 1000, 999_999, 10**7])) for _ in range(COUNT)]
    unsorted = [
        Job(
            f"{dice.getrandbits(128):032x}", dice.choice(["dummy"] * 9 + ["spectrum"]), "1", dice.choice(list(Phase)),
            created, 60, owner=dice.choice(list(OWNER_IDS)), run_id=dice.choice(list(RUN_IDS)),
        )
        for created in itertools.accumulate(apart, initial=NOW)
    ]  # fmt: skip
    return sorted(unsorted, key=lambda job: (job.created, job.id), reverse=True)


@pytest.fixture
def asking(tmp_path: Path, database_url: str, made: list[Job]) -> Iterator[Asking]:
    application = Asking(tmp_path / "data", database=database_url)
    with application.services.store.engine.begin() as connection:
        connection.execute(jobs.insert(), [job_row(job) for job in made])
    yield application
    application.close()


def let_through(
    made: list[Job],
    name: str | None,
    phases: tuple[Phase, ...],
    after: str | None,
    last: int | None,
    owners: tuple[str | None, ...] | None,
) -> list[Job]:
    """What the standard says of the filters, of jobs that are newest first."""
    listed = [
        job
        for job in made
        if name in (None, job.definition)
        and (job.phase in phases if phases else job.phase is not Phase.ARCHIVED)
        and (after is None or f"{job.created:%Y-%m-%dT%H:%M:%S.%f}"[:-3] > after)
        and (owners is None or job.owner in owners)
    ]
    return listed[:last]


def row(job: Job) -> str:
    created = f"{job.created:%Y-%m-%dT%H:%M:%S.%f}"[:-3]
    return (
        f'<uws:jobref id="{job.id}" xlink:type="simple" '
        f'xlink:href="http://127.0.0.1/rest/{job.definition}/{job.id}">'
        f"<uws:phase>{job.phase.value}</uws:phase>{RUN_IDS[job.run_id]}{OWNER_IDS[job.owner]}"
        f"<uws:creationTime>{created}Z</uws:creationTime></uws:jobref>\n"
    )


def test_every_filter_gives_the_document_of_its_jobs(asking: Asking, made: list[Job]) -> None:
    rows = {job.id: row(job) for job in made}
    for name, phases, after, last in itertools.product(("dummy", "spectrum"), PHASES, AFTER, LAST):
        query = [f"PHASE={phase}" for phase in phases]
        query += [f"AFTER={after}"] if after else []
        query += [f"LAST={last}"] if last else []
        answer = asking.get(f"/rest/{name}?{'&'.join(query)}")
        expected = "".join(rows[job.id] for job in let_through(made, name, phases, after, last, (None,)))
        assert (answer.status, answer.text == f"{HEAD}{expected}</uws:jobs>\n") == (200, True), (name, query)
        assert answer.headers["content-type"] == "text/xml; charset=UTF-8"


def test_both_kinds_of_lists_hold_the_jobs_of_some_owners(asking: Asking, made: list[Job]) -> None:
    store = asking.services.store
    for name, phases, owners, last in itertools.product((None, "dummy", "nothing"), PHASES, OWNERS, (None, 10, 1100)):
        wanted = Filter(name, phases, None, last, owners)
        expected = let_through(made, name, phases, None, last, owners)
        document = b"".join(list_document(store.references(wanted), "http://127.0.0.1/rest/{}".format, STYLE)).decode()
        assert document == f"{HEAD}{''.join(map(row, expected))}</uws:jobs>\n", wanted
        assert [
            (found.id, found.definition, found.phase, found.created, found.owner, found.run_id)
            for found in store.summaries(wanted)
        ] == [(job.id, job.definition, job.phase, job.created, job.owner, job.run_id) for job in expected], wanted
