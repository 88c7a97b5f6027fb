"""The command uws-sas, for the shell scripts of jobs that call tasks of the SAS.

    uws-sas check evselect backscale                        one sentence and an end if they cannot run here
    uws-sas expression "$eventlist" --region "$region"      the selection, as evselect takes it
    uws-sas channels "$eventlist"                           the channels of a spectrum that fit its responses
    uws-sas run evselect table="$eventlist" ...             run a task: its stage, its messages, a step of provenance

The SAS is a separate program with a licence of its own; nothing of it is here.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from reduction import shell
from reduction.errors import ReductionError
from reduction.sas import installation
from reduction.sas.tasks import SasTask, task_named

_ERROR = re.compile(r"\*\*\s*(?P<task>\w+):\s*(?:fatal\s+)?error\s*\((?P<code>\w+)\),?\s*(?P<text>.*)", re.IGNORECASE)
_MOST_LINES = 6
_EPILOG = "For the shell script of a job, in the folder of the job."


def main() -> None:
    """Run `uws-sas`."""
    parser = argparse.ArgumentParser(prog="uws-sas", description=__doc__.partition("\n")[0], epilog=_EPILOG)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    _check_parser(verbs.add_parser("check", help="end with a sentence if tasks cannot run here"))
    _expression_parser(verbs.add_parser("expression", help="print a selection of events as evselect takes it"))
    channels = verbs.add_parser("channels", help="print the parameters of evselect for the channels of a camera")
    channels.add_argument("eventlist", type=Path, help="an event list of EPIC")
    channels.set_defaults(act=_channels)
    _run_parser(verbs.add_parser("run", help="run a task and record it in the provenance"))
    options = parser.parse_args()
    try:
        sys.exit(options.act(options))
    except (ReductionError, shell.Refused, OSError) as error:
        sys.exit(f"[ERROR] {error}")


def _check_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tasks", nargs="+", metavar="TASK", help="a task that the script calls")
    parser.set_defaults(act=_check)


def _expression_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("eventlist", type=Path, help="an event list of EPIC")
    parser.add_argument("--region", default="", help="a region of the sky: DS9 text, STC-S or JSON; empty: everywhere")
    parser.add_argument("--energy", default="", help="lowest and highest energy in keV; empty: all")
    parser.add_argument("--pattern", default="default", help="patterns kept: default, all, or a list such as 0:4")
    parser.add_argument("--flag", default="default", help="flags: default, strict or none")
    parser.add_argument("--parameter", default="region", help="what a complaint about the region calls it")
    parser.set_defaults(act=_expression)


def _run_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stage", default="", help="what the job does now; empty: that it runs the task")
    parser.add_argument("--made", action="append", default=[], metavar="FILE",
                        help="a file that the task writes under a name of its own, or a pattern of names")  # fmt: skip
    parser.add_argument("task", help="a task of the SAS")
    parser.add_argument("values", nargs="*", metavar="NAME=VALUE", help="its parameters")
    parser.set_defaults(act=_run)


def _check(options: argparse.Namespace) -> int:
    found = installation.require(options.tasks, os.environ)
    print(f"SAS {found.release or '(of unknown release)'}")
    for name in ("SAS_CCFPATH", "SAS_CCF", "SAS_ODF"):
        if value := os.environ.get(name):
            print(f"{name} {Path(value).name}")
    return 0


def _expression(options: argparse.Namespace) -> int:
    from reduction import regions  # numpy and astropy take their time, which `run` need not spend
    from reduction.events import dss
    from reduction.events.eventlist import open_eventlist
    from reduction.events.selection import choose

    with open_eventlist(options.eventlist) as events:
        selection = choose(events, options.energy.strip() or None, options.pattern, options.flag)
        text = options.region.strip()
        region = regions.parse(text, parameter=options.parameter).on(events.wcs) if text else None
        print(dss.expression(events, selection, region) or "true")
    return 0


def _channels(options: argparse.Namespace) -> int:
    """Print the binning of the responses: 5 eV of 0 to 20479 for pn, of 0 to 11999 for MOS (threads of SAS 22)."""
    from reduction.events.eventlist import open_eventlist

    with open_eventlist(options.eventlist) as events:
        camera = str(events.keywords.get("INSTRUME", "")).strip().upper()
    highest = {"EPN": 20479, "EMOS1": 11999, "EMOS2": 11999}.get(camera)
    if highest is None:
        raise ReductionError(f"eventlist: it is of {camera or 'no instrument'}; EPN, EMOS1 or EMOS2 is expected")
    print(f"spectralbinsize=5 withspecranges=yes specchannelmin=0 specchannelmax={highest}")
    return 0


def _run(options: argparse.Namespace) -> int:
    task = task_named(options.task)
    given = shell.pairs(options.values, task.name)
    task.require(given)
    found = installation.require([task.name], os.environ)
    shell.announce(options.stage or f"Running {task.name}", shell.job_folder())
    environment = dict(os.environ) | {"PATH": found.path(os.environ)}
    code, complaint = follow(found.command([task.name, *options.values]), environment)
    if code:
        why = complaint or f"it ended with status {code} and gave no reason"
        print(f"[ERROR] {task.name}: {why}", file=sys.stderr, flush=True)
        return code if 0 < code < 126 else 1
    reads, writes = files_of(task, given)
    writes += [path for name in options.made for path in sorted(Path().glob(name)) or [Path(name)]]
    if lost := [str(path) for path in writes if not path.is_file()]:
        raise ReductionError(f"{task.name} ended well but left no {', '.join(lost)}")
    read, written = ([path.absolute() for path in paths] for paths in (reads, writes))
    shell.record(task.name, found.release, read, written, given, shell.job_folder())
    return 0


def files_of(task: SasTask, given: Mapping[str, str]) -> tuple[list[Path], list[Path]]:
    """Return the files that a task reads and those that it writes with some parameters.

    A parameter may name a table of a file ('events.fits:EVENTS'), or several files with blanks between.
    """
    reads, writes = [], []
    for name, value in given.items():
        files = [Path(_file(word)) for word in value.split() or [value]]
        if name in task.reads | task.changes:
            reads += [path for path in files if path.is_file()]
        if name in task.writes | task.changes:
            writes += files
    return reads, writes


def _file(text: str) -> str:
    """The file of a table specifier."""
    return text if Path(text).is_file() else text.partition(":")[0]


def follow(command: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
    """Run a command, passing on what it prints. Return its exit status, and the sentence of its error."""
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors="replace",
    )  # fmt: skip
    assert process.stdout is not None
    complaint: list[str] = []
    for line in process.stdout:
        print(line, end="", flush=True)
        if match := _ERROR.match(line.strip()):
            complaint = [f"{match['text']} ({match['code']})" if match["text"] else match["code"]]
        elif complaint and line.startswith("  ") and len(complaint) < _MOST_LINES:
            complaint.append(line.strip())  # the SAS breaks long messages
    process.stdout.close()
    return process.wait(), " ".join(complaint)

