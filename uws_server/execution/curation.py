"""The ObsCore columns that the configuration sets for all products of a server. Imports configuration, provenance."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from provenance.obscore.columns import ENUMERATIONS
from provenance.tagging import CURATION
from uws_server.config import Config
from uws_server.errors import ConfigurationError

_MOST_BYTES = 40_000_000
_RIGHTS = "data_rights"


def require(config: Config) -> None:
    """Raise ConfigurationError for a setting that its column may not have."""
    if config.products.data_rights and config.products.data_rights not in ENUMERATIONS[_RIGHTS]:
        allowed = ", ".join(ENUMERATIONS[_RIGHTS])
        raise ConfigurationError(
            f"data_rights = {config.products.data_rights!r}: one of {allowed} is allowed, or nothing"
        )
    if config.products.publisher and not config.products.publisher.startswith("ivo://"):
        raise ConfigurationError(
            f"publisher = {config.products.publisher!r}: an IVOA identifier (ivo://...) is expected"
        )


def of(config: Config) -> dict[str, str]:
    """Return the columns that the configuration sets, by name."""
    columns = {"publisher_id": config.products.publisher, _RIGHTS: config.products.data_rights}
    return {name: value for name, value in columns.items() if value}


def noted(folder: Path) -> Mapping[str, str]:
    """Return the same columns as a job had when it began; none if its script spoiled its parameters.json."""
    try:
        with (folder / "parameters.json").open("rb") as stream:
            columns = json.loads(stream.read(_MOST_BYTES))["job"]["curation"]
        return {name: columns[name] for name in CURATION if isinstance(columns.get(name), str)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
