"""The command `uws-server jobs`: list, abort and hold jobs, drain the queue. Imports the storage.

It works on the database: the servers on it hear of what changed. What it needs is imported where it is used: `--help`
needs no database.
"""

from __future__ import annotations

import argparse
import getpass
import json
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from uws_server import config
from uws_server.commands.options import add_command, add_configuration, require_database
from uws_server.errors import BadRequest, Conflict
from uws_server.jobs.job import Filter, Job, JobSummary, utcnow
from uws_server.jobs.phases import ENDED, Phase

if TYPE_CHECKING:
    from uws_server.storage.drain import DrainStore
    from uws_server.storage.jobstore import JobStore

_MOST = 50
_LOOK_S = 0.5
"""Seconds between two looks at what still runs."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions of the command."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    listing = add_command(actions, "list", "jobs, newest first, and whether the queue is drained")
    names = [phase.value for phase in Phase]
    listing.add_argument("--phase", action="append", default=[], metavar="PHASE", type=str.upper, choices=names,
                         help="only those in this phase; may be given again")  # fmt: skip
    listing.add_argument("--definition", metavar="NAME", help="only those of this definition")
    listing.add_argument("--owner", metavar="NAME", help="only those of this account; '' for those of nobody")
    listing.add_argument("--last", type=int, default=_MOST, metavar="N", help=f"the newest N (default {_MOST})")
    listing.add_argument("--json", action="store_true", help="an object of JSON for each job")
    listing.set_defaults(act=_list)
    for name, act, says in (
        ("abort", _abort, "end jobs; what they made so far is kept"),
        ("hold", _hold, "keep queued jobs from starting until they are released, or run again"),
        ("release", _release, "let held jobs wait for their start again, at their former place"),
    ):
        action = add_command(actions, name, says)
        action.add_argument("ids", nargs="+", metavar="ID", help="id of a job: 32 hexadecimal digits")
        action.set_defaults(act=act, last_words="ids")
    drain = add_command(actions, "drain", "have no queued job started, on any server, until 'undrain'")
    drain.add_argument("--why", default="", metavar="TEXT", help="a reason, for those who wait")
    drain.add_argument("--wait", action="store_true", help="return when no job runs any more, but suspended ones")
    drain.set_defaults(act=_drain)
    undrain = add_command(actions, "undrain", "let queued jobs start again")
    undrain.set_defaults(act=_undrain)
    for action in (listing, *(actions.choices[name] for name in ("abort", "hold", "release")), drain, undrain):
        add_configuration(action)
        action.set_defaults(run=_with_store)


def _with_store(options: argparse.Namespace) -> Any:
    from uws_server.storage.jobstore import JobStore

    settings = config.load(options.config, os.environ, data=options.data)
    require_database(settings)
    store = JobStore(settings.database_url())
    try:
        return options.act(store, options)
    finally:
        store.close()


def _list(store: JobStore, options: argparse.Namespace) -> None:
    from uws_server.services import queue_order

    if options.last < 1:
        raise BadRequest(f"--last: {options.last} came; a number from 1 on is allowed")
    owners = None if options.owner is None else (options.owner or None,)
    wanted = Filter(options.definition, tuple(map(Phase, options.phase)), last=options.last, owners=owners)
    places = queue_order.places(store, config.load(options.config, os.environ, data=options.data))
    for job in store.summaries(wanted):
        place = places.get(job.id)
        print(json.dumps(_plain(job) | {"place": place}) if options.json else _line(job, place))
    if (drained := _drain_store(store).now()) is not None and not options.json:
        print(f"(drained by {drained.who}: {drained.sentence()})")


def _line(job: JobSummary, place: int | None) -> str:
    elapsed = job.elapsed(utcnow())
    took = "-" if elapsed is None else f"{elapsed:.0f} s"
    if place is not None:
        took = f"#{place}"
    run = f"  {job.run_id}" if job.run_id else ""
    line = (
        f"{job.id}  {job.phase:9}  {job.created:%Y-%m-%d %H:%M:%S}  {took:>8}  {job.owner or '-':16}  {job.definition}"
    )
    return "".join(each if each.isprintable() else "?" for each in line + run)


def _plain(job: JobSummary) -> dict[str, Any]:
    times = {name: getattr(job, name) for name in ("created", "started", "ended", "destruction")}
    told = {"id": job.id, "definition": job.definition, "phase": job.phase, "owner": job.owner, "run_id": job.run_id}
    return told | {name: None if when is None else when.isoformat() for name, when in times.items()}


def _abort(store: JobStore, options: argparse.Namespace) -> None:
    def abort(job: Job) -> str:
        if store.move(job.id, [Phase.PENDING, Phase.HELD, Phase.QUEUED], Phase.ABORTED, ended=utcnow()):
            return "aborted"
        if store.ask_abort(job.id):
            return "asked to end: the server that runs it ends it"
        raise Conflict(f"job {job.id} is {store.bare(job.id).phase}: it can no longer be aborted")

    _each(store, options.ids, abort)


def _hold(store: JobStore, options: argparse.Namespace) -> None:
    def hold(job: Job) -> str:
        if store.move(job.id, [Phase.PENDING, Phase.QUEUED], Phase.HELD):
            return "held"
        if store.on_cluster.waits(job.id):
            raise Conflict(f"job {job.id} waits on the cluster for a node: it can no longer be held; abort it")
        raise Conflict(f"job {job.id} is {store.bare(job.id).phase}: only one that waits can be held")

    _each(store, options.ids, hold)


def _release(store: JobStore, options: argparse.Namespace) -> None:
    def release(job: Job) -> str:
        # one that was held before it was ever run waits for its owner, as it did
        after = Phase.PENDING if job.queued is None else Phase.QUEUED
        if store.move(job.id, [Phase.HELD], after):
            return "queued again" if after is Phase.QUEUED else "released: it waits to be run"
        raise Conflict(f"job {job.id} is {store.bare(job.id).phase}: only one that is held can be released")

    _each(store, options.ids, release)


def _each(store: JobStore, ids: list[str], act: Callable[[Job], str]) -> None:
    """Act on jobs and print what became of each. Raise NotFound before anything is done if one is not there."""
    for job in [store.bare(job_id) for job_id in ids]:
        if job.phase in ENDED:
            raise Conflict(f"job {job.id} is {job.phase}: it has ended")
        print(f"{job.id} {act(job)}", flush=True)


def _drain(store: JobStore, options: argparse.Namespace) -> None:
    from uws_server.storage.drain import Drain

    _drain_store(store).begin(Drain(utcnow(), getpass.getuser()[:64], " ".join(options.why.split())[:500]))
    running, standing = _taken(store)
    still = f"; {standing} are suspended, and are not waited for" if standing else ""
    print(f"no queued job is started until 'uws-server jobs undrain'; {running} still run{still}", flush=True)
    while options.wait and running:
        time.sleep(_LOOK_S)
        running, _ = _taken(store)
    if options.wait:
        print("no job runs any more")


def _taken(store: JobStore) -> tuple[int, int]:
    """Return how many jobs servers have taken that go on to their end by themselves, and how many stand still."""
    phases = [run.phase for run in store.taken()]
    standing = phases.count(Phase.SUSPENDED)
    return len(phases) - standing, standing


def _undrain(store: JobStore, _options: argparse.Namespace) -> None:
    was = _drain_store(store).end()
    print("queued jobs are started again" if was else "the queue was not drained")


def _drain_store(store: JobStore) -> DrainStore:
    from uws_server.storage.drain import DrainStore

    return DrainStore(store.engine, store.server)
