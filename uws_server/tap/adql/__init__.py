"""ADQL 2.1 to SQL of SQLite or PostgreSQL, on sqlglot's parser: names, types, geometry."""

from __future__ import annotations

from uws_server.tap.adql.errors import AdqlError
from uws_server.tap.adql.translation import Translated, translate

__all__ = ["AdqlError", "Translated", "translate"]
