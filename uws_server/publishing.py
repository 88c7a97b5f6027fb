"""The groups of the configuration that say who publishes: the products, and the server in the registry of the VO."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from uws_server.settings import Key, Names


@dataclass(frozen=True)
class Products:
    """What every product says of its publisher."""

    publisher: Annotated[
        str, Key("IVOA identifier of the products' publisher, such as ivo://x.org/uws; empty: none")
    ] = ""
    data_rights: Annotated[
        str, Key("who may have the products: public, secure or proprietary; empty: it is not told")
    ] = ""


@dataclass(frozen=True)
class Registry:
    """What the registry record at /record says of this server; none as long as one of the first three is empty."""

    title: Annotated[str, Key("name of the service, such as X-ray products of the University; empty: no record")] = ""
    organisation: Annotated[str, Key("who publishes, such as University of X; empty: no record")] = ""
    contact_email: Annotated[
        str,
        Key(
            "mail address for questions; empty: no record",
            pattern=r"([^\s@]+@[^\s@]+)?",
            expected="a mail address such as help@x.org",
        ),
    ] = ""
    contact_name: Annotated[str, Key("who answers them")] = "Help desk"
    description: Annotated[str, Key("what the service has, in some sentences; empty: a sentence of our own")] = ""
    subjects: Annotated[Names, Key("subjects, words of the Unified Astronomy Thesaurus")] = ("x-ray-astronomy",)
    reference_url: Annotated[
        str,
        Key(
            "address of a page about the service; empty: that of the server",
            pattern=r"(https?://\S+)?",
            expected="an address such as https://x.org/about",
        ),
    ] = ""
    registered: Annotated[
        str,
        Key(
            "when the record was first published, such as 2026-11-29; empty: when the server started",
            pattern=r"(\d{4}-\d{2}-\d{2})?",
            expected="a date such as 2026-11-29",
        ),
    ] = ""
