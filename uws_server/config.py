"""The configuration: one TOML file, every key also as UWS_SERVER_<KEY>. Imports only the errors.

`Config` is the list of all keys: name, type, default and help stand together, and the README's table is
tested against it.
"""

from __future__ import annotations

import dataclasses
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from uws_server.errors import ConfigurationError

PREFIX = "UWS_SERVER_"
"""What an environment variable that sets a key begins with."""

_WHOLE = re.compile(r"\d{1,18}", re.ASCII)
_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,18})?)\s*(?:([kKMGT])(i?)B?|B)", re.ASCII)
_POWER = {"k": 1, "K": 1, "M": 2, "G": 3, "T": 4}
_BOUNDS = {"port": (0, 65535), "max_duration": (1, 10**9), "keep_days": (1, 36500), "max_log": (0, 10**15)}
_BOUNDS |= {"max_memory": (0, 10**15), "max_disk": (0, 10**15), "max_active": (0, 10**9), "max_stored": (0, 10**15)}
_OTHER_BOUNDS = (1, 10**15)
"""Lowest and highest value of a number that is not named in _BOUNDS."""
_TEXTS = {
    "base_url": (r"(https?://[^\s/?#]+(/[^\s?#]*)?)?", "an address such as https://x.org/uws"),
    "destroyed": ("nothing|record", "nothing or record"),
    "proxies": (r"([\da-fA-F]*[.:][\da-fA-F.:]*(\s*,\s*(?!$)|$))*", "IP addresses with commas, such as 127.0.0.1, ::1"),
}
"""What some texts must look like, and how that is told."""


@dataclass(frozen=True)
class Config:
    """Every setting of a server; sizes in bytes, times in seconds."""

    host: Annotated[str, "address to listen on"] = "127.0.0.1"
    port: Annotated[int, "port to listen on; 0 takes a free one"] = 8080
    base_url: Annotated[str, "address that clients use, such as https://x.org/uws; empty: from host and port"] = ""
    data: Annotated[Path, "folder that holds the database and the jobs"] = Path("uws-data")
    database: Annotated[str, "database URL for SQLAlchemy; empty: SQLite in the data folder"] = ""
    archive: Annotated[Path | None, "folder of event lists that jobs may name; empty: uploads only"] = None
    definitions: Annotated[Path | None, "folder of job definitions; empty: those that come with the server"] = None
    max_running: Annotated[int, "jobs that run side by side; more wait in the queue"] = max(1, os.cpu_count() or 1)
    max_upload: Annotated[int, "largest request body, as bytes or like '2 GB'"] = 2 * 10**9
    max_fetch: Annotated[int, "largest file fetched from a URL, as bytes or like '2 GB'"] = 2 * 10**9
    url_schemes: Annotated[str, "schemes, with commas, of URLs that jobs may name: https, http"] = "https"
    url_hosts: Annotated[str, "hosts of such URLs, with commas, such as *.esac.esa.int or x.org:8443; empty: none"] = ""
    url_private: Annotated[str, "those of them that may lie at a private address, such as localhost; empty: none"] = ""
    resolver: Annotated[str, "URL with {name} that looks objects up, such as one of Sesame; empty: no names"] = ""
    max_duration: Annotated[int, "longest a job may run, in seconds; a definition may say less"] = 86400
    keep_days: Annotated[int, "days until a job is destroyed, where the client asks for no earlier date"] = 30
    max_log: Annotated[int, "bytes kept of what a script prints; the rest is dropped with a note"] = 50 * 10**6
    max_memory: Annotated[int, "address space of a process of a job, as bytes or like '16 GB'"] = 16 * 10**9
    max_disk: Annotated[int, "bytes that one job may write; a definition may say less; 0: any number"] = 100 * 10**9
    environment: Annotated[str, "further variables of the server's environment, with commas, that scripts get"] = ""
    sandbox: Annotated[str, "which jobs bubblewrap shuts in: trials (of drafts), all, or none"] = "trials"
    anonymous: Annotated[str, "callers without account: listed, unlisted, refused; empty: by the address"] = ""
    max_active: Annotated[int, "jobs that one account may have queued or running; 0: any number"] = 0
    max_stored: Annotated[int, "bytes that the jobs of one account may take on disk; 0: any number"] = 0
    proxies: Annotated[str, "addresses, with commas, of proxies whose X-Forwarded-For is believed"] = ""
    downtime: Annotated[Path | None, "TOML file that announces a downtime: down_at, back_at, note"] = None
    destroyed: Annotated[str, "what is left of a job at its destruction time: nothing, or its record"] = "nothing"
    publisher: Annotated[str, "IVOA identifier of the products' publisher, such as ivo://x.org/uws; empty: none"] = ""
    data_rights: Annotated[str, "who may have the products: public, secure or proprietary; empty: it is not told"] = ""

    def database_url(self) -> str:
        """The database's URL: the configured one, else SQLite in the data folder."""
        path = str(self.data / "jobs.sqlite").replace("%", "%25").replace("?", "%3F")  # a URL would read them
        return self.database or f"sqlite:///{path}"


def load(path: Path | None, environment: Mapping[str, str], **overrides: Any) -> Config:
    """Read the configuration: defaults, then the file, then the environment, then `overrides` (not None)."""
    values: dict[str, Any] = {}
    if path is not None:
        values.update(_from_file(path))
    names = {f.name for f in dataclasses.fields(Config)}
    for name in sorted(names):
        if PREFIX + name.upper() in environment:
            values[name] = environment[PREFIX + name.upper()]
    values.update({name: value for name, value in overrides.items() if value is not None})
    unknown = sorted(values.keys() - names)
    if unknown:
        raise ConfigurationError(f"unknown key {unknown[0]!r} in {path}; the keys are {', '.join(sorted(names))}")
    values.setdefault("data", Config.data)
    return Config(**{name: _convert(name, value) for name, value in values.items()})


def _from_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"cannot read the configuration {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not TOML: {error}") from error


def _convert(name: str, value: Any) -> Any:
    kind = get_type_hints(Config)[name]
    if kind is int:
        return number(name, value)
    if not isinstance(value, str | Path):
        raise ConfigurationError(f"{name} = {value!r}: text is expected")
    if kind is str:
        return _text(name, str(value))
    if not str(value) and kind is Path:
        raise ConfigurationError(f"{name} = '': the path of a folder is expected")
    return Path(value).expanduser().absolute() if str(value) else None


def _text(name: str, value: str) -> str:
    pattern, expected = _TEXTS.get(name, ("", ""))
    if pattern and not re.fullmatch(pattern, value):
        raise ConfigurationError(f"{name} = {value!r}: {expected} is expected")
    return value


def number(name: str, value: Any) -> int:
    """The whole number or size (such as '2 GB') of a key, within its bounds."""
    text = str(value).strip()
    lowest, highest = _BOUNDS.get(name, _OTHER_BOUNDS)
    if _WHOLE.fullmatch(text):
        number = int(text)
    elif match := _SIZE.fullmatch(text):
        number = int(Decimal(match[1]) * (1024 if match[3] else 1000) ** _POWER.get(match[2], 0))
    else:
        raise ConfigurationError(f"{name} = {value!r}: a whole number or a size such as '2 GB' is expected")
    if not lowest <= number <= highest:
        raise ConfigurationError(f"{name} = {value!r}: {lowest} to {highest} is allowed")
    return number
