"""The configuration: one TOML file whose tables are the groups below, every key also as UWS_SERVER_<KEY>.

Each key stands here once, with its type, its default, what it sets, and what it may be. A key's name is the same with
and without its table: a file of version 0.1.0, which has no tables and writes lists as text with commas, is read alike.
"""

from __future__ import annotations

import dataclasses
import difflib
import logging
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

from uws_server.errors import ConfigurationError
from uws_server.publishing import Products, Registry
from uws_server.settings import Key, Names, Setting, SizeKey

_log = logging.getLogger(__name__)

PREFIX = "UWS_SERVER_"
"""What an environment variable that sets a key begins with."""

DATABASE_FILE = "jobs.sqlite"
"""Name of the database in the data folder, where no other is configured."""

_ADDRESS = r"[\da-fA-F]*[.:][\da-fA-F.:]*"


@dataclass(frozen=True)
class Server:
    """Where the server listens, and what stands around it."""

    host: Annotated[str, Key("address to listen on")] = "127.0.0.1"
    port: Annotated[int, Key("port to listen on; 0 takes a free one", lowest=0, highest=65535)] = 8080
    base_url: Annotated[
        str,
        Key(
            "address that clients use, such as https://x.org/uws; empty: from host and port",
            pattern=r"(https?://[^\s/?#]+(/[^\s?#]*)?)?",
            expected="an address such as https://x.org/uws",
        ),
    ] = ""
    proxies: Annotated[
        Names,
        Key(
            "addresses of proxies whose X-Forwarded-For is believed",
            pattern=_ADDRESS,
            expected="IP addresses with commas, such as 127.0.0.1, ::1",
        ),
    ] = ()
    max_upload: Annotated[int, SizeKey("largest request body, as bytes or like '2 GB'")] = 2 * 10**9
    request_timeout: Annotated[
        int, Key("seconds until a request's headers are there, and that a body or who reads may pause", highest=86400)
    ] = 20
    least_rate: Annotated[int, SizeKey("bytes a second at which bodies come and answers are read at least")] = 500
    metrics: Annotated[
        str,
        Key(
            "who may read /metrics: local (admins and this machine), admins, all",
            pattern="local|admins|all",
            expected="local, admins or all",
        ),
    ] = "local"
    log_format: Annotated[
        str,
        Key(
            "how the log on stderr looks: text, or json (an object a line)",
            pattern="text|json",
            expected="text or json",
        ),
    ] = "text"
    downtime: Annotated[Path | None, Key("TOML file that announces a downtime: down_at, back_at, note")] = None


@dataclass(frozen=True)
class Folders:
    """What is kept, and where."""

    data: Annotated[Path, Key("folder that holds the database and the jobs")] = Path("uws-data")
    database: Annotated[str, Key("database URL for SQLAlchemy; empty: SQLite in the data folder")] = ""
    reserve: Annotated[
        int, SizeKey("free bytes on the disk of the data folder below which nothing new is taken; 0: none", lowest=0)
    ] = 10**9
    secrets_key: Annotated[
        Path | None, Key("file with the key of the secrets of accounts; empty: secrets.key in the data folder")
    ] = None
    archive: Annotated[Path | None, Key("folder of event lists that jobs may name; empty: uploads only")] = None
    cache: Annotated[
        int,
        SizeKey(
            "bytes that inflated copies of gzipped files of the archive take in the data folder; 0: none", lowest=0
        ),
    ] = 10 * 10**9
    definitions: Annotated[Path | None, Key("folder of job definitions; empty: those that come with the server")] = None


@dataclass(frozen=True)
class Jobs:
    """How jobs run, what they may take, and how long they stay."""

    max_running: Annotated[int, Key("jobs that run side by side; more wait in the queue", highest=10**6)] = max(
        1, os.cpu_count() or 1
    )
    short_places: Annotated[
        int,
        Key(
            "places beside these that only short jobs and trials may take, so that they need not wait",
            lowest=0,
            highest=10**6,
        ),
    ] = 1
    short: Annotated[int, Key("a job is short if its executionDuration is at most so many seconds", lowest=0)] = 60
    cores: Annotated[
        int, Key("cores that jobs on this machine may take together; 0: one a place, or all, of this server", lowest=0)
    ] = 0
    memory: Annotated[
        int, SizeKey("memory that they may take together, by what definitions say; 0: it is not counted", lowest=0)
    ] = 0
    max_suspension: Annotated[int, Key("seconds for which a job may stand still; then it is ended", highest=10**9)] = (
        86400
    )
    max_duration: Annotated[int, Key("longest a job may run, in seconds; a definition may say less", highest=10**9)] = (
        86400
    )
    max_log: Annotated[
        int, SizeKey("bytes kept of what a script prints; the rest is dropped with a note", lowest=0)
    ] = 50 * 10**6
    max_memory: Annotated[int, SizeKey("address space of a process of a job, as bytes or like '16 GB'", lowest=0)] = (
        16 * 10**9
    )
    max_processes: Annotated[
        int, Key("processes that a job may have at a time, or each part of an array; 0: any number", lowest=0)
    ] = 2000
    max_disk: Annotated[
        int, SizeKey("bytes that one job may write; a definition may say less; 0: any number", lowest=0)
    ] = 100 * 10**9
    control_groups: Annotated[
        bool, Key("whether the kernel keeps jobs to their limits by control groups, where it gave some to the server")
    ] = True
    execution: Annotated[
        str, Key("where jobs run: local, or slurm (a cluster)", pattern="local|slurm", expected="local or slurm")
    ] = "local"
    environment: Annotated[Names, Key("further variables of the server's environment that scripts get")] = ()
    secrets: Annotated[Path | None, Key("folder of the secrets that live definitions may ask for, one a file")] = None
    warm: Annotated[
        bool, Key("whether jobs start from a process that has Python and what scripts import loaded already")
    ] = True
    sandbox: Annotated[str, Key("which jobs bubblewrap shuts in: trials (of drafts), all, or none")] = "trials"
    keep_days: Annotated[
        int, Key("days until a job is destroyed, where the client asks for no earlier date", highest=36500)
    ] = 30
    destroyed: Annotated[
        str,
        Key(
            "what is left of a job at its destruction time: nothing, or its record",
            pattern="nothing|record",
            expected="nothing or record",
        ),
    ] = "nothing"


@dataclass(frozen=True)
class Slurm:
    """What jobs ask a Slurm cluster for, which the server reaches by Slurm's commands."""

    max_jobs: Annotated[int, Key("jobs that this server has on the cluster; more wait here", highest=10**6)] = 1000
    partition: Annotated[str, Key("partition of jobs whose definition names none; empty: the cluster's default")] = ""
    cluster_account: Annotated[str, Key("account to which the cluster charges jobs; empty: the user's default")] = ""
    qos: Annotated[str, Key("quality of service of jobs; empty: the user's default")] = ""
    array_width: Annotated[
        int, Key("parts of a job that run side by side on the cluster, each with its cores", highest=1024)
    ] = 8
    sbatch_options: Annotated[Names, Key("further options of sbatch, such as --constraint=avx2")] = ()
    time_margin: Annotated[
        int, Key("seconds by which the cluster's limit of time is longer than a job's own", lowest=0, highest=86400)
    ] = 60
    squeue_interval: Annotated[int, Key("seconds between two looks at the cluster's queue", highest=3600)] = 5


@dataclass(frozen=True)
class Remote:
    """What jobs and the sky page may reach on other machines; nothing as long as no host is named."""

    url_schemes: Annotated[Names, Key("schemes of URLs that jobs may name: https, http")] = ("https",)
    url_hosts: Annotated[Names, Key("hosts of such URLs, such as *.esac.esa.int or x.org:8443; empty: none")] = ()
    url_private: Annotated[
        Names, Key("those of them that may lie at a private address, such as localhost; empty: none")
    ] = ()
    max_fetch: Annotated[int, SizeKey("largest file fetched from a URL, as bytes or like '2 GB'")] = 2 * 10**9
    resolver: Annotated[str, Key("URL with {name} that looks objects up, such as one of Sesame; empty: no names")] = ""
    surveys: Annotated[
        Names,
        Key(
            "pictures of the sky that browsers fetch for the sky page, each a name and the URL of a HiPS; empty: none",
            pattern=r"[^\s,]+(?: +[^\s,]+)* +https?://[\w.-]+(?::\d+)?(?:/[\w./~%+-]*)?",
            expected="a name and an address, such as DSS2 colour https://x.org/DSS2Color",
        ),
    ] = ()


@dataclass(frozen=True)
class Accounts:
    """Who may come without an account, and what one account may take."""

    anonymous: Annotated[str, Key("callers without account: listed, unlisted, refused; empty: by the address")] = ""
    max_active: Annotated[
        int, Key("jobs that one account may have queued or running; 0: any number", lowest=0, highest=10**9)
    ] = 0
    max_running_owner: Annotated[
        int, Key("jobs of one account that may run at a time, on all servers; 0: any number", lowest=0, highest=10**9)
    ] = 0
    max_suspended: Annotated[
        int, Key("suspended jobs that one account may have; 0: any number", lowest=0, highest=10**9)
    ] = 10
    max_stored: Annotated[
        int, SizeKey("bytes that the jobs of one account may take on disk; 0: any number", lowest=0)
    ] = 0


@dataclass(frozen=True)
class Oidc:
    """A provider of OpenID Connect at which people may sign in, beside tokens; none as long as no issuer is named."""

    issuer: Annotated[
        str,
        Key(
            "address of the provider, such as https://login.x.org/realm; empty: people sign in with tokens",
            pattern=r"(https?://[^\s?#]+)?",
            expected="an address such as https://login.x.org/realm",
        ),
    ] = ""
    provider_name: Annotated[str, Key("what people call the provider: 'Sign in with NAME'")] = "OpenID Connect"
    client_id: Annotated[str, Key("the provider's name for this server")] = ""
    client_secret: Annotated[str, Key("the secret that the provider gave for it; empty: none (a public client)")] = ""
    client_secret_file: Annotated[Path | None, Key("file in which that secret stands instead")] = None
    scopes: Annotated[Names, Key("what the provider is asked to tell, beside openid")] = ("profile", "email")
    name_claim: Annotated[str, Key("claim after which a new account is named")] = "preferred_username"
    groups_claim: Annotated[str, Key("claim in which the groups of a person stand, such as groups; empty: none")] = ""
    group_roles: Annotated[
        Names,
        Key(
            "roles that groups give while one is in them, such as xmm-team=xmm",
            pattern=r".+=(?!admin$)[a-z][a-z0-9_-]{0,31}",
            expected="a group, '=' and a role other than admin, such as xmm-team=xmm,",
        ),
    ] = ()
    entry_groups: Annotated[Names, Key("groups of which one must be a member to sign in; empty: all may")] = ()
    new_accounts: Annotated[
        bool, Key("whether who comes first gets an account; else accounts of admins are connected to the provider")
    ] = True


@dataclass(frozen=True)
class Config:
    """Every setting of a server, in the groups that are the tables of its file; sizes in bytes, times in seconds."""

    server: Server = field(default_factory=Server)
    folders: Folders = field(default_factory=Folders)
    jobs: Jobs = field(default_factory=Jobs)
    slurm: Slurm = field(default_factory=Slurm)
    remote: Remote = field(default_factory=Remote)
    accounts: Accounts = field(default_factory=Accounts)
    oidc: Oidc = field(default_factory=Oidc)
    products: Products = field(default_factory=Products)
    registry: Registry = field(default_factory=Registry)

    @classmethod
    def of(cls, **values: Any) -> Config:
        """Return the configuration with these keys and defaults for all others; ConfigurationError for a wrong value.

        `data` lies below the current folder where it is not given.
        """
        given: dict[str, dict[str, Any]] = {group: {} for group in groups()}
        for name, value in {"data": Folders.data, **values}.items():
            setting = settings()[name]
            given[setting.group][name] = setting.read(value)
        return cls(**{group: kind(**given[group]) for group, kind in groups().items()})

    def database_url(self) -> str:
        """Return the database's URL: the configured one, else that of SQLite in the data folder."""
        path = str(self.folders.data / DATABASE_FILE).replace("%", "%25").replace("?", "%3F")  # a URL would read them
        return self.folders.database or f"sqlite:///{path}"

    def has_database(self) -> bool:
        """Check whether there is a database: a configured one is taken to be there, that of the data folder is not."""
        return bool(self.folders.database) or (self.folders.data / DATABASE_FILE).is_file()


@cache
def groups() -> Mapping[str, type]:
    """Return the groups of keys, by the name of their table."""
    return get_type_hints(Config)


@cache
def settings() -> Mapping[str, Setting]:
    """Return every key, by its name, in the order of the groups."""
    found = {}
    for group, kind in groups().items():
        hints = get_type_hints(kind, include_extras=True)
        for each in dataclasses.fields(kind):
            type_of, key = get_args(hints[each.name])
            found[each.name] = Setting(group, each.name, type_of, key)
    return found


def load(path: Path | None, environment: Mapping[str, str], **overrides: Any) -> Config:
    """Return the configuration: defaults, then the file, then the environment, then `overrides` that are not None.

    ConfigurationError names the first key that is unknown, stands twice, or has a value that it may not have, with the
    file or variable that it came from. A variable that begins like ours and is none is told in the log.
    """
    written = {} if path is None else {key: (f"{path}: {key}", value) for key, value in _from_file(path).items()}
    written |= {key: (PREFIX + key.upper(), value) for key, value in _from_environment(environment).items()}
    written |= {key: (key, value) for key, value in overrides.items() if value is not None}
    for key, (place, value) in written.items():
        dataclasses.replace(settings()[key], name=place).read(value)
    return Config.of(**{key: value for key, (_, value) in written.items()})


def number(name: str, value: Any) -> int:
    """Return the whole number or size (such as '2 GB') for a key, within its bounds; else raise ConfigurationError."""
    found: int = settings()[name].read(value)
    return found


def _from_file(path: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"cannot read the configuration {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not TOML: {error}") from error
    return _flat(document, path)


def _from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the keys that variables set; log those that begin like them and are none."""
    values = {}
    for variable, value in environment.items():
        key = variable.removeprefix(PREFIX).lower()
        if not variable.startswith(PREFIX):
            continue
        if key in settings():
            values[key] = value
        else:
            near = _near(key, settings())
            _log.warning("%s sets nothing%s", variable, f"; did you mean {PREFIX}{near.upper()}?" if near else "")
    return values


def _flat(document: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return the keys of a file by name, whether they stand in their table or, as in version 0.1.0, in none."""
    values: dict[str, Any] = {}
    for name, value in document.items():
        is_table = name in groups() and isinstance(value, Mapping)
        for key, each in value.items() if is_table else [(name, value)]:
            setting = settings().get(key)
            if setting is None:
                raise ConfigurationError(_unknown(path, name if is_table else None, key, each))
            if is_table and setting.group != name:
                raise ConfigurationError(f"{path}: {key} stands in [{name}]; its table is [{setting.group}]")
            if key in values:
                raise ConfigurationError(f"{path}: {key} is set twice, once in [{setting.group}] and once in no table")
            values[key] = each
    return values


def _unknown(path: Path, table: str | None, key: str, value: Any) -> str:
    """Return the sentence about a name that is neither a key nor, outside of the tables, a table with keys in it."""
    if table is None and key in groups():
        return f"{path}: {key} is a table: write [{key}], once, and its keys below it"
    if table is None and isinstance(value, Mapping):
        near = _near(key, groups())
        hint = f"did you mean [{near}]? " if near else ""
        return f"{path}: unknown table [{key}]; {hint}the tables are {', '.join(groups())}"
    near = _near(key, settings())
    place = f" in [{settings()[near].group}]" if near and table != settings()[near].group else ""
    there = [name for name, setting in settings().items() if table in (None, setting.group)]
    keys = f"the keys of [{table}] are" if table else "the keys are"
    return f"{path}: unknown key {key!r}; {f'did you mean {near}{place}? ' if near else ''}{keys} {', '.join(there)}"


def _near(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that a name is probably meant for, None if there is none."""
    return next(iter(difflib.get_close_matches(name[:80].lower().replace("-", "_"), list(known), n=1)), None)
