"""Checks of a job definition: every mistake with its place. Imports the values and the errors.

All formats and the editor use it. Whether a default fits its own type is for `parameters.check_values`, which knows the
types; here is everything that needs the definition alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from itertools import islice

from uws_server.errors import DefinitionError, Problem
from uws_server.jobs import patterns
from uws_server.jobs.definition import (
    EXECUTIONS,
    FILE_TYPES,
    NUMBER_TYPES,
    OPTION_TYPES,
    PARAMETER_TYPES,
    Control,
    Definition,
    Entry,
    ParameterSpec,
    ResultSpec,
)
from uws_server.jobs.job import LOG
from uws_server.jobs.part import PARTS
from uws_server.jobs.words import CONTROL, control_problem

MOST_PARAMETERS = 500
MOST_RESULTS = 500
MOST_OPTIONS = 1000
MOST_VALUES = 1000
"""Values that one parameter may have."""
MOST_SECRETS = 16
"""Secrets that one definition may ask for."""
MOST_PROBLEMS = 200
"""Problems that are reported at once: a document with more is no definition."""

CONTROL_NAMES = frozenset(
    {"phase", "action", "runid", "executionduration", "destruction", "wait", "upload", "quote"}
    | {"responseformat", "share"}
)
"""Request parameters that UWS and DALI reserve, in lower case."""

RESERVED_NAMES = frozenset(
    {"path", "home", "user", "shell", "ifs", "env", "bash_env", "ps4", "pwd", "oldpwd", "lang", "display", "tmpdir"}
    | {"term", "logname", "mail", "hostname", "ld_preload", "ld_library_path", "ld_audit", "uws_job_id", "ps1", "ps2"}
    | {"virtual_env", "tz", "cdpath", "globignore", "prompt_command", "shellopts", "posixly_correct", "gconv_path"}
    | {"locpath", "nlspath", "node_options", "rubyopt", "java_tool_options", "optind", "optarg", "opterr"}
    | {"hostaliases", "localdomain", "res_options", "resolv_host_conf", "getconf_dir"}
)
"""Names that a shell, the loader or a language acts upon, in lower case: no parameter or result may have them."""

RESERVED_BEGINNINGS = (
    *("ld_", "lc_", "bash", "python", "perl5", "malloc_", "glibc_", "uws_"),
    *("omp_", "openblas_", "mkl_", "openssl_", "ssl_"),
)
"""Beginnings of such names, in lower case; `uws_` is the server's own."""

SHELL_NAMES = frozenset(
    {"RANDOM", "SECONDS", "LINENO", "UID", "EUID", "PPID", "GROUPS", "REPLY", "TMOUT", "FIGNORE", "HISTFILE", "INPUTRC"}
    | {"DIRSTACK", "FUNCNAME", "HISTCMD", "HOSTTYPE", "MACHTYPE", "OSTYPE", "COLUMNS", "LINES", "IGNOREEOF"}
    | {"EPOCHSECONDS", "EPOCHREALTIME", "SRANDOM", "COPROC", "MAPFILE", "TIMEFORMAT", "FCEDIT", "EXECIGNORE"}
    | {"SHLVL", "COMP_WORDBREAKS"}
)
"""Names that bash sets or acts upon, in capitals only."""

RESERVED_RESULTS = frozenset({LOG})
"""Names of the results that every job has."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_PARAMETER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_FILE = re.compile(r"[A-Za-z0-9_*][A-Za-z0-9_.*-]{0,127}")
_MIME = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*/[A-Za-z0-9!#$&^_.+-]+(; ?[a-z]+=[A-Za-z0-9_.-]+)*")
_FUNCTION = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_ROLE = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_GATHER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,123}\.(py|sh)")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)
_STATUS = re.compile(r"[1-9]|[1-9][0-9]|1[01][0-9]|12[0-5]", re.ASCII)
"""The exit statuses that a script may choose: a shell has those above for itself and for signals."""
_EMAIL = re.compile(r"[^\s@<>\"']{1,64}@[^\s@<>\"']{1,255}")
_ADDRESS = re.compile(r"https?://[^\s<>\"']+", re.IGNORECASE)
_LONGEST = {"title": 200, "version": 64, "group": 64, "documentation": 2000, "description": 20_000}
_LONGEST_OF_PARAMETER = {"description": 10_000, "annotation": 1000, "pattern": 1000, "group": 64, "unit": 64,
                         "ucd": 200, "utype": 200, "xtype": 200, "url": 2000, "media_type": 120}  # fmt: skip


def require_sound(definition: Definition, where: str) -> None:
    """Raise a DefinitionError with every problem of a definition; `where` begins the message."""
    found = problems(definition)
    if found:
        raise DefinitionError.of(where, found)


def problems(definition: Definition) -> list[Problem]:
    """Return every problem that a definition has by itself; places are written as in JSON, such as
    parameters[2].min.
    """
    return list(islice(_problems(definition), MOST_PROBLEMS))


def name_problem(name: str) -> str:
    """Return why a definition, or a result, cannot have a name; '' where it can."""
    if _NAME.fullmatch(name):
        return ""
    if not name:
        return "a name is needed: a letter, then letters, digits, '_', '-' and '.'"
    return f"{name[:80]!r} is not a letter, then letters, digits, '_', '-' and '.', at most 64"


def secret_name_problem(name: str) -> str:
    """Return why a secret cannot have a name; '' where it can."""
    return _parameter_name_problem(name)


def is_reserved(name: str) -> bool:
    """Return whether a shell, the loader or a language acts upon a variable of that name: a script never gets it."""
    lower = name.lower()
    return lower in RESERVED_NAMES or lower.startswith(RESERVED_BEGINNINGS) or name in SHELL_NAMES


def _problems(definition: Definition) -> Iterator[Problem]:
    if problem := name_problem(definition.name):
        yield Problem("name", problem)
    if not definition.title.strip():
        yield Problem("title", "a title is needed")
    if not definition.version.strip():
        yield Problem("version", "a version is needed, such as 1.0")
    yield from _texts(definition, _LONGEST, "")
    if definition.documentation and not _ADDRESS.fullmatch(definition.documentation):
        yield Problem("documentation", f"{definition.documentation[:80]!r} is no http or https address")
    email = definition.contact.email
    if email and (not _EMAIL.fullmatch(email) or CONTROL.search(email)):
        yield Problem("contact.email", f"{definition.contact.email[:80]!r} is no mail address")
    yield from _texts(definition.contact, {"name": 200}, "contact.")
    for i, role in enumerate(definition.roles):
        if not _ROLE.fullmatch(role):
            yield Problem(f"roles[{i}]", f"{role[:80]!r} is not small letters, digits, '_' and '-', at most 32")
    yield from _entry(definition.entry)
    yield from _control(definition.control)
    for kind, most, items in (
        ("parameters", MOST_PARAMETERS, definition.parameters),
        ("results", MOST_RESULTS, definition.results),
    ):
        if len(items) > most:
            yield Problem(kind, f"{len(items):,} came, at most {most} are allowed")
            return
        yield from _twice([item.name for item in items], kind, ".name")
    for i, spec in enumerate(definition.parameters):
        yield from _parameter(spec, f"parameters[{i}]")
    for i, result in enumerate(definition.results):
        yield from _result(result, f"results[{i}]")
        if definition.parameter(result.name) is not None:  # a script finds both in its environment
            yield Problem(f"results[{i}].name", f"{result.name[:80]!r} is the name of a parameter; choose another")
    for name in definition.test:
        if definition.parameter(name) is None:
            yield Problem(f"test.{name[:80]}", "there is no parameter of that name")
    yield from _spread(definition)


def _spread(definition: Definition) -> Iterator[Problem]:
    """Yield what is wrong with how a job is spread over a parameter, and with the script that gathers its parts."""
    spread = [i for i, spec in enumerate(definition.parameters) if spec.spread]
    for i in spread[1:]:
        other = definition.parameters[spread[0]].name[:80]
        yield Problem(f"parameters[{i}].spread", f"a job is spread over {other!r} already, and over one parameter only")
    for i in spread[:1]:
        spec = definition.parameters[i]
        if spec.max_values == 1 and spec.type != "observation":
            yield Problem(f"parameters[{i}].spread", "max_values above 1 is needed: there is a part for each value")
        if not spec.required:
            yield Problem(f"parameters[{i}].spread", "it must be required: without a value there is no part")
    for i, result in enumerate(definition.results):
        if result.gathered and not definition.gather:
            yield Problem(f"results[{i}].gathered", "there is no script that gathers the parts: gather names one")
    if not definition.gather:
        return
    if not spread:
        yield Problem("gather", "there is nothing to gather: no parameter is marked with spread")
    if not _GATHER.fullmatch(definition.gather) or definition.gather == definition.entry.script:
        wanted = "the name of a further file beside job.json that ends with .py or .sh"
        yield Problem("gather", f"{definition.gather[:80]!r} is not {wanted}")
    if definition.parameter(PARTS) is not None:
        yield Problem("gather", f"a parameter is called {PARTS!r}, by which the script gets the results of the parts")


def _entry(entry: Entry) -> Iterator[Problem]:
    if entry.type not in ("python", "shell"):
        yield Problem("entry.type", f"{entry.type!r} is neither 'python' nor 'shell'")
    if not _FILE.fullmatch(entry.script) or "*" in entry.script or entry.script.lower() in ("job.json", "readme.md"):
        yield Problem("entry.script", f"{entry.script[:80]!r} is not the name of a file beside job.json")
    if entry.function and (entry.type != "python" or not _FUNCTION.fullmatch(entry.function)):
        yield Problem("entry.function", f"{entry.function[:80]!r} is not the name of a function of a Python script")


def _control(control: Control) -> Iterator[Problem]:
    if not 0 < control.duration.default <= control.duration.max:
        yield Problem("control.duration", "default must be above 0 and at most max")
    keep = control.destruction
    if keep.default < 0 or keep.max < 0 or (keep.max and keep.default > keep.max):
        yield Problem("control.destruction", "days from 0 on are expected, default at most max")
    for name in ("memory", "disk"):
        if not 0 <= getattr(control, name) <= 10**15:
            yield Problem(f"control.{name}", "bytes from 0 (what the server allows) on are expected")
    if not 0 <= control.quote <= control.duration.max:
        yield Problem("control.quote", "seconds from 0 (unknown) to the longest duration are expected")
    if not 1 <= control.cpus <= 1024:
        yield Problem("control.cpus", f"{control.cpus} came; 1 to 1024 is allowed")
    if not 0 <= control.max_running <= 10**6:
        yield Problem("control.max_running", f"{control.max_running} came; 0 (any number) to 1000000 is allowed")
    if control.execution and control.execution not in EXECUTIONS:
        yield Problem("control.execution", f"{control.execution[:80]!r} came; {' or '.join(EXECUTIONS)} is allowed")
    if control.partition and not _NAME.fullmatch(control.partition):
        yield Problem("control.partition", f"{control.partition[:80]!r} is no name of a partition")
    for status, sentence in control.statuses.items():
        place = f"control.statuses.{status[:80]}"
        if not _STATUS.fullmatch(status):
            yield Problem(place, f"{status[:80]!r} is no exit status from 1 to 125; 0 is never a failure")
        if not _is_sentence(sentence):
            yield Problem(place, "a sentence of 1 to 300 characters is needed that says what the status stands for")
    for variable, sentence in control.needs.items():
        place = f"control.needs.{variable[:80]}"
        if not _VARIABLE.fullmatch(variable):
            yield Problem(place, f"{variable[:80]!r} is no name of a variable, such as SAS_DIR")
        if not _is_sentence(sentence):
            yield Problem(place, "a sentence of 1 to 300 characters is needed that says what is not there without it")
    if len(control.secrets) > MOST_SECRETS:
        yield Problem("control.secrets", f"{len(control.secrets)} came, at most {MOST_SECRETS} are allowed")
    yield from _twice(control.secrets, "control.secrets")
    for i, name in enumerate(control.secrets):
        if problem := secret_name_problem(name):
            yield Problem(f"control.secrets[{i}]", problem)


def _is_sentence(text: str) -> bool:
    return bool(text.strip()) and len(text) <= 300 and not CONTROL.search(text) and "\n" not in text


def _parameter(spec: ParameterSpec, place: str) -> Iterator[Problem]:
    yield from _name(spec.name, _parameter_name_problem(spec.name), place)
    if spec.type not in PARAMETER_TYPES:
        yield Problem(f"{place}.type", f"unknown type {spec.type[:80]!r}; known are {', '.join(PARAMETER_TYPES)}")
    yield from _texts(spec, _LONGEST_OF_PARAMETER, f"{place}.")
    if spec.type in OPTION_TYPES and not spec.options:
        yield Problem(f"{place}.options", "a choice needs options")
    if len(spec.options) > MOST_OPTIONS:
        yield Problem(f"{place}.options", f"{len(spec.options):,} came, at most {MOST_OPTIONS} are allowed")
    yield from _twice(spec.options, f"{place}.options")
    for i, option in enumerate(spec.options):
        if not option.strip() or len(option) > 100 or CONTROL.search(option):
            yield Problem(f"{place}.options[{i}]", f"{option[:80]!r} is not printable text of 1 to 100 characters")
    if spec.pattern and (reason := patterns.problem(spec.pattern)):
        yield Problem(f"{place}.pattern", reason)
    for bound in ("min", "max", "step"):
        if not math.isfinite(getattr(spec, bound) or 0):
            yield Problem(f"{place}.{bound}", f"{getattr(spec, bound)} is not a finite number")
    if spec.min is not None and spec.max is not None and spec.min > spec.max:
        yield Problem(f"{place}.min", f"min {spec.min:g} is above max {spec.max:g}")
    if spec.step is not None and not spec.step > 0:
        yield Problem(f"{place}.step", f"{spec.step:g} is not above 0")
    if spec.type in PARAMETER_TYPES and spec.type not in NUMBER_TYPES:
        for bound in ("min", "max", "step"):
            if getattr(spec, bound) is not None:
                yield Problem(f"{place}.{bound}", f"a {spec.type} has no {bound}")
    if not 1 <= spec.max_length <= 4_000_000:
        yield Problem(f"{place}.max_length", f"{spec.max_length} came; 1 to 4,000,000 is allowed")
    if not 1 <= spec.max_values <= MOST_VALUES:
        yield Problem(f"{place}.max_values", f"{spec.max_values} came; 1 to {MOST_VALUES} is allowed")
    if len(spec.defaults) > max(1, spec.max_values):
        yield Problem(f"{place}.default", f"{len(spec.defaults)} values came, max_values allows {spec.max_values}")
    if spec.media_type and not _MIME.fullmatch(spec.media_type):
        yield Problem(f"{place}.media_type", f"{spec.media_type!r} is not a media type such as text/plain")
    for name in ("media_type", "url"):
        if getattr(spec, name) and spec.type in PARAMETER_TYPES and spec.type not in FILE_TYPES:
            yield Problem(f"{place}.{name}", f"a {spec.type} is no file and has no {name}")


def _result(result: ResultSpec, place: str) -> Iterator[Problem]:
    yield from _name(result.name, name_problem(result.name), place)
    if result.name.lower() in RESERVED_RESULTS:
        yield Problem(f"{place}.name", f"{result.name!r} is reserved; choose another")
    if not _FILE.fullmatch(result.file):
        yield Problem(f"{place}.file", f"{result.file[:80]!r} is not a file name, or a glob such as *.fits")
    if not _MIME.fullmatch(result.mime) or len(result.mime) > 120:
        yield Problem(f"{place}.mime", f"{result.mime[:80]!r} is not a media type such as text/plain")
    yield from _texts(result, {"description": 10_000}, f"{place}.")


def _parameter_name_problem(name: str) -> str:
    if _PARAMETER_NAME.fullmatch(name):
        return ""
    if not name:
        return "a name is needed: a letter, then letters, digits and '_'"
    return f"{name[:80]!r} is not a letter, then letters, digits and '_', at most 64"


def _name(name: str, problem: str, place: str) -> Iterator[Problem]:
    if problem:
        yield Problem(f"{place}.name", problem)
    elif name.lower() in CONTROL_NAMES or is_reserved(name):
        yield Problem(f"{place}.name", f"{name!r} is reserved; choose another")


def _texts(holder: object, longest: dict[str, int], place: str) -> Iterator[Problem]:
    for name, most in longest.items():
        text = getattr(holder, name)
        if len(text) > most:
            yield Problem(f"{place}{name}", f"{len(text):,} characters came, at most {most:,} are allowed")
        elif problem := control_problem(text):
            yield Problem(f"{place}{name}", problem)


def _twice(names: Sequence[str], place: str, inner: str = "") -> Iterator[Problem]:
    """Yield a problem for each name that came before, at its place in the list."""
    seen: set[str] = set()
    for i, name in enumerate(names):
        if name.lower() in seen:
            yield Problem(f"{place}[{i}]{inner}", f"{name[:80]!r} is there twice (case does not count)")
        seen.add(name.lower())
