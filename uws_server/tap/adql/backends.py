"""What SQLite and PostgreSQL write differently."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

BackendName = Literal["sqlite", "postgresql"]


@dataclass(frozen=True)
class Backend:
    """A database for which SQL is written."""

    name: BackendName
    double: str
    types: Mapping[str, str]
    own: str
    """What stands before the names of our own functions (`sqlite.register`, `postgresql.register`)."""

    @property
    def is_sqlite(self) -> bool:
        """Whether this is SQLite."""
        return self.name == "sqlite"

    def quoted(self, name: str) -> str:
        """Return a name in the quotes of SQL; a per cent sign is doubled where the driver formats."""
        inner = name.replace('"', '""')
        return f'"{inner}"' if self.is_sqlite else f'"{inner.replace("%", "%%")}"'

    def placeholder(self, name: str) -> str:
        """Return what stands in the SQL for the text of a parameter."""
        return f":{name}" if self.is_sqlite else f"CAST(%({name})s AS text)"

    def real(self, value: float) -> str:
        """Return a number with a fraction, of double precision."""
        return repr(value) if self.is_sqlite else f"CAST({value!r} AS double precision)"

    def cast(self, sql: str, datatype: str) -> str:
        """Return an expression as a type of VOTable."""
        return f"CAST({sql} AS {self.types[datatype]})"

    def smallest(self, *terms: str) -> str:
        """Return the smallest of several terms."""
        return f"{'min' if self.is_sqlite else 'least'}({', '.join(terms)})"

    def call(self, function: str, *arguments: str) -> str:
        """Return a call of one of our own functions."""
        return f"{self.own}{function}({', '.join(arguments)})"


_SQLITE: Final = Backend(
    "sqlite",
    "REAL",
    {"short": "INTEGER", "int": "INTEGER", "long": "INTEGER", "float": "REAL", "double": "REAL", "char": "TEXT"},
    "",
)
_POSTGRESQL: Final = Backend(
    "postgresql",
    "double precision",
    {
        "short": "smallint", "int": "integer", "long": "bigint", "float": "real", "double": "double precision",
        "char": "text",
    },
    "pg_temp.",
)  # fmt: skip
BACKENDS: Final[Mapping[str, Backend]] = {"sqlite": _SQLITE, "postgresql": _POSTGRESQL}
