"""The products that the rows of a search stand for, and what can be done with them. Imports the services."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from uws_server.errors import BadRequest
from uws_server.services.archive_files import archive_address
from uws_server.services.query_answers import FirstRows, QueryAnswers

_MTYPES: Final[Mapping[str, str]] = {
    "image": "image.load.fits",
    "spectrum": "table.load.fits spectrum.load.ssa-generic",
}
"""The messages of SAMP by which a kind of product is sent; other kinds are tables."""
_KEYS: Final = ("access_url", "obs_publisher_did", "obs_id")
"""Columns that tell which product a row is, the surest first; an observation stands for its event lists."""
_NEEDED: Final = ("obs_publisher_did", "access_url", "access_format", "dataproduct_type", "obs_id")
_MOST_OF_A_ROW: Final = 12
"""The most event lists that the row of an observation stands for."""


@dataclass(frozen=True)
class FoundProduct:
    """A product that was found: its ObsCore row, its links, and its name in the archive, '' for one of a job."""

    row: Mapping[str, Any]
    links: str
    source: str

    @property
    def url(self) -> str:
        """The address of the file."""
        return str(self.row.get("access_url") or "")

    @property
    def name(self) -> str:
        """The name of the file."""
        return unquote(urlsplit(self.url).path.rpartition("/")[2]) or self.url

    @property
    def kind(self) -> str:
        """The kind of product; '' where it is not known."""
        return str(self.row.get("dataproduct_type") or "")

    @property
    def mtypes(self) -> str:
        """The messages of SAMP by which it is sent."""
        return _MTYPES.get(self.kind, "table.load.fits")

    @property
    def is_fits(self) -> bool:
        """Check whether it is a FITS file, which applications take; one that does not say is by its name."""
        return "fits" in str(self.row.get("access_format") or self.name).lower()

    @property
    def is_list(self) -> bool:
        """Check whether it is an event list of the archive, which jobs may name."""
        return self.kind == "event" and bool(self.source)


class ProductFinder:
    """Finds the products of rows; `link` makes the address of the links of one."""

    def __init__(self, base_url: str, link: Callable[[str], str]) -> None:
        self._base_url, self._link = base_url, link

    def product(self, row: Mapping[str, Any]) -> FoundProduct:
        """Return the product of an ObsCore row."""
        url, beginning = str(row.get("access_url") or ""), archive_address(self._base_url, "")
        source = unquote(url.removeprefix(beginning)) if url.startswith(beginning) else ""
        return FoundProduct(row, self._link(str(row.get("obs_publisher_did") or url)), source)

    def of_rows(self, found: FirstRows, answers: QueryAnswers) -> list[tuple[FoundProduct, ...]]:
        """Return the products of each row of an answer, none for a row that is no product.

        What the answer does not have of a product is looked up in ivoa.obscore, as far as the caller sees it.
        """
        names = [column.name.lower() for column in found.columns]
        key = next((name for name in _KEYS if name in names), None)
        if key is None or not found.rows:
            return [() for _ in found.rows]
        rows = [dict(zip(names, row, strict=True)) for row in found.rows]
        known = {} if set(_NEEDED[:4]) <= set(names) else self._known(key, [row[key] for row in rows], answers)
        products = []
        for row in rows:
            value = str(row[key] or "")
            several = [{**other, **_without_nothing(row)} for other in known.get(value, [])]
            if not several and key == "access_url" and value.startswith(("http://", "https://")):
                several = [row]
            products.append(tuple(map(self.product, several[:_MOST_OF_A_ROW])))
        return products

    def _known(self, key: str, values: Sequence[Any], answers: QueryAnswers) -> dict[str, list[dict[str, Any]]]:
        """Return the rows of ivoa.obscore by the value of the key; none if they cannot be had now."""
        texts = dict.fromkeys(str(value) for value in values if value)
        if not texts:
            return {}
        listed = ", ".join("'" + text.replace("'", "''") + "'" for text in texts)
        condition = " AND dataproduct_type = 'event'" if key == "obs_id" else ""
        query = (
            f"SELECT {', '.join(_NEEDED)} FROM ivoa.obscore WHERE {key} IN ({listed}){condition} ORDER BY access_url"
        )
        try:
            found = answers.first(query, _MOST_OF_A_ROW * len(texts))
        except BadRequest:
            return {}
        known: dict[str, list[dict[str, Any]]] = {}
        for row in found.rows:
            values_of = dict(zip(_NEEDED, row, strict=True))
            if key != "obs_id" or str(values_of["access_url"] or "").startswith(archive_address(self._base_url, "")):
                known.setdefault(str(values_of[key]), []).append(values_of)
        return known


def _without_nothing(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}
