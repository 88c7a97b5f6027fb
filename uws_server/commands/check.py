"""The command `uws-server check`: whether definitions are valid and jobs with their test values succeed.

What it runs is what a server runs, in a data folder of its own that goes afterwards. Imports everything below.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from uws_server import config
from uws_server.commands import check_files
from uws_server.errors import BadRequest, NotFound, ServerError, counted

if TYPE_CHECKING:
    from uws_server.jobs.definition import Definition
    from uws_server.jobs.job import Job, Result
    from uws_server.services.context import Services
    from uws_server.services.job_service import JobService
    from uws_server.storage.library import Installed

_EVERY_S = 0.1
_PIECE = 1 << 20
_EPILOG = """\
Each definition is read, and every mistake in it is printed with its place. Then a job is run with the test values of
the definition ("test" in job.json) over its defaults (one that needs values and has none is read only), in a sandbox;
where bubblewrap cannot make one the script runs with your rights, which is said. Its log is printed as it grows, then
its results with their sizes and a summary of their VO-TAGS. The test value of a file is the name of a file beside
job.json, simulated:pn, simulated:mos1 or simulated:mos2 (an event list that the simulator writes), or a file of the
archive.

With --files the files of a server's jobs are read instead, all of them, and compared with its database: a line for each
that is missing, was changed (size or SHA-256) or is extra, with its job and name.

exit status: 0 all is well, 1 a definition, its job or a file is not, 2 the command line is wrong.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = "Check job definitions, and run each with its test values, without a server."
    parser.epilog, parser.formatter_class = _EPILOG, argparse.RawDescriptionHelpFormatter
    parser.add_argument("names", metavar="NAME", nargs="*", help="definitions to check; none: all of the folder")
    parser.add_argument("--definitions", type=Path, metavar="DIR", help="folder of definitions (default: ours)")
    parser.add_argument("--archive", type=Path, metavar="DIR", help="folder of event lists that test values may name")
    parser.add_argument("--no-run", action="store_true", help="only read the definitions")
    parser.add_argument("--files", action="store_true", help="check the files of a server's jobs instead: all of them")
    parser.add_argument("--data", type=Path, metavar="DIR", help="with --files: folder of a server (default uws-data)")
    parser.add_argument("--config", type=Path, metavar="FILE", help="with --files: configuration in TOML")
    parser.set_defaults(run=lambda options: check_files.run(options) if options.files else _run(options))


def _run(options: argparse.Namespace) -> int:
    from uws_server.resources import definitions_folder  # here: --help and other commands need not load astropy
    from uws_server.services import trials
    from uws_server.services.context import Services

    # the problems are printed below, once, and not as a server logs them
    logging.getLogger("uws_server").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="uws-check-") as data:
        given = {"data": Path(data), "database": "", "archive": options.archive, "definitions": options.definitions}
        settings = config.load(None, os.environ, **given)
        if not options.no_run and (why := trials.obstacle(settings)):
            # who runs this command chose the scripts, and they do no more than a live definition may
            print(f"scripts are not shut in: {why}", file=sys.stderr, flush=True)
            settings = config.load(None, os.environ, **given, sandbox="none")
        services = Services(settings, "http://localhost", settings.folders.definitions or definitions_folder())
        services.start()
        try:
            return _check(services, options.names, options.no_run)
        finally:
            services.stop()


def _check(services: Services, names: list[str], only_read: bool) -> int:
    """Check definitions one after the other and return the exit status."""
    installed, problems = services.library.by_name(), services.library.problems
    known = sorted({*installed, *problems})
    for name in names:
        if name not in known:
            raise NotFound(f"no job definition {name[:80]!r} in the folder; there are {', '.join(known) or 'none'}")
    failed = 0
    for name in names or known:
        if name in problems:
            print(f"{name}: cannot be used")
            print("".join(f"    {line}\n" for line in problems[name].splitlines()), end="", flush=True)
            failed += 1
            continue
        print(f"{name}: {installed[name].definition.title}, version {installed[name].definition.version}", flush=True)
        if obstacle := _obstacle(installed[name].definition):
            print(f"    not run: {obstacle}", flush=True)
        elif not only_read and not _try(services, installed[name]):
            failed += 1
    all_of = counted(len(names or known), "definition")
    well = len(names or known) - failed
    print(f"{well} of {all_of} {'is' if well == 1 else 'are'} well")
    return 1 if failed else 0


def _obstacle(definition: Definition) -> str:
    """Return why a definition is not run by the check; empty for one that is."""
    if asked := definition.control.secrets:
        return f"its jobs get {', '.join(asked)}, which only a server has"
    needed = [spec.name for spec in definition.parameters if spec.required and not spec.defaults]
    if needed and not definition.test:
        return f"it has no test values, and {', '.join(needed)} must be given"
    return ""


def _try(services: Services, installed: Installed) -> bool:
    """Run a job with the test values of a definition and return whether it did what it should."""
    from uws_server.jobs.phases import Phase
    from uws_server.services import parameters, trials
    from uws_server.services.job_service import JobService
    from uws_server.services.rights import Caller

    job_service = JobService(services, Caller(name="check", is_admin=True))
    try:
        request = trials.request_of(installed.definition, installed.folder, services.spool)
        try:
            job = job_service.try_out(installed, request)
        finally:
            parameters.discard(request.uploads)
    except BadRequest as error:
        print("".join(f"    its test values are refused: {line}\n" for line in str(error).splitlines()), end="")
        return False
    job = _watch(services, job_service, job)
    for result in job.results:
        print(f"    {result.name:24}{counted(result.size, 'byte'):>20}  {_tags(job_service, job, result)}".rstrip())
    reason = f": {job.error.message}" if job.error else f", with a warning: {job.warning}" if job.warning else ""
    print(f"    {job.phase}{reason}", flush=True)
    return job.phase is Phase.COMPLETED


def _watch(services: Services, job_service: JobService, job: Job) -> Job:
    """Print the log of a job as it grows, until the job has ended."""
    from uws_server.jobs.phases import ENDED

    offset = 0
    try:
        while True:
            current = services.store.get(job.id)
            piece = job_service.log(job, "job.log", offset, _PIECE)
            whole = piece if current.phase in ENDED or len(piece) == _PIECE else piece[: piece.rfind(b"\n") + 1]
            offset += len(whole)
            for line in whole.decode("utf-8", "replace").splitlines():
                print(f"    | {''.join(c if c.isprintable() else ' ' for c in line)}", flush=True)
            if current.phase in ENDED and len(piece) < _PIECE:
                return current
            if not whole:
                time.sleep(_EVERY_S)
    except KeyboardInterrupt:
        print("    ending the job", file=sys.stderr)
        job_service.abort(job)
        raise


def _tags(job_service: JobService, job: Job, result: Result) -> str:
    """Summarise the VO-TAGS of a result in a few words."""
    from provenance import votags
    from provenance.text.errors import ProvenanceError

    try:
        tags = votags.read(job_service.result_path(job, result))
    except (ProvenanceError, ServerError, OSError):
        return ""  # no FITS file
    if tags is None:
        return ""
    count = len(tags.steps)
    return f"VO-TAGS: {tags.row.get('dataproduct_type', 'of no type')}, {count} step{'' if count == 1 else 's'}"
