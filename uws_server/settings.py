"""A key of the configuration: what it sets, what it may be, and how its value is read.

The keys themselves stand in `config`. Imports the errors only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from uws_server.errors import ConfigurationError

MOST = 10**15
"""The largest number that any key takes."""

_WHOLE = re.compile(r"\d{1,18}", re.ASCII)
_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,18})?)\s*(?:([kKMGT])(i?)B?|B)", re.ASCII)
_POWER = {"k": 1, "K": 1, "M": 2, "G": 3, "T": 4}

Names = tuple[str, ...]
"""The value of a key that is a list: a list of texts in TOML, a text with commas in the environment."""


@dataclass(frozen=True)
class Key:
    """What a key sets, and what it may be: bounds of a number or size, a pattern of a text or of each one of a list."""

    help: str
    lowest: int = 1
    highest: int = MOST
    pattern: str = ".*"
    expected: str = ""


@dataclass(frozen=True)
class SizeKey(Key):
    """A key whose value is a number of bytes, which may be written as a size."""


@dataclass(frozen=True)
class Setting:
    """A key with its name, the table it stands in and its type."""

    group: str
    name: str
    kind: Any
    key: Key

    def read(self, value: Any) -> Any:
        """Return the value of the key for what stands in a file or variable; ConfigurationError where it may not be."""
        if self.kind is bool:
            return self._truth(value)
        if self.kind is int:
            return self._number(value)
        if self.kind == Names:
            return self._names(value)
        if not isinstance(value, str | Path):
            raise self._wrong(value, "text is expected")
        if self.kind is str:
            return self._matched(str(value), value)
        if not str(value) and self.kind is Path:
            raise self._wrong("", "the path of a folder is expected")
        return Path(value).expanduser().absolute() if str(value) else None

    def _truth(self, value: Any) -> bool:
        if (text := str(value).strip().lower()) not in ("true", "false"):
            raise self._wrong(value, "true or false is expected")
        return text == "true"

    def _number(self, value: Any) -> int:
        text = str(value).strip()
        is_size = isinstance(self.key, SizeKey)
        if _WHOLE.fullmatch(text):
            number = int(text)
        elif is_size and (match := _SIZE.fullmatch(text)):
            number = int(Decimal(match[1]) * (1024 if match[3] else 1000) ** _POWER.get(match[2], 0))
        elif is_size:
            raise self._wrong(value, "a whole number or a size such as '2 GB' is expected")
        else:
            raise self._wrong(value, f"a whole number is expected, {self._bounds()}")
        if not self.key.lowest <= number <= self.key.highest:
            raise self._wrong(value, f"{self._bounds()} is allowed")
        return number

    def _bounds(self) -> str:
        return f"{self.key.lowest} to {self.key.highest}"

    def _names(self, value: Any) -> Names:
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
            raise self._wrong(value, "a list of texts is expected")
        return tuple(self._matched(part.strip(), value) for part in parts if part.strip())

    def _matched(self, text: str, value: Any) -> str:
        if not re.fullmatch(self.key.pattern, text, re.DOTALL):
            raise self._wrong(value, f"{self.key.expected} is expected")
        return text

    def _wrong(self, value: Any, why: str) -> ConfigurationError:
        return ConfigurationError(f"{self.name} = {value!r}: {why}")
