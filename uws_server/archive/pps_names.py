"""What the name of a file of the XMM-Newton pipeline says, such as P0084200801M1S001MIEVLI0000.FTZ. Imports nothing.

P, ten digits of the observation, two letters of the instrument, a letter and three digits of the exposure, six
characters of the type of product, one of its subset (energy band, order or filter), three hexadecimal digits of the
source (XMM-Newton Data Files Handbook, table 37). Old files have types of five characters (MIEVL).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

INSTRUMENTS: Final[Mapping[str, str]] = {
    "M1": "EMOS1", "M2": "EMOS2", "PN": "EPN", "EP": "EPIC", "R1": "RGS1", "R2": "RGS2", "RG": "RGS", "OM": "OM",
}  # fmt: skip
"""Instruments by their two letters. OB (the observation) and CA (catalogues) are none."""

_EVENT: Final = "event"
_IMAGE: Final = "image"
_SPECTRUM: Final = "spectrum"
_SERIES: Final = "timeseries"
_SOURCES: Final = "measurements"

_TYPES: Final[Mapping[str, tuple[str, str]]] = {
    "MIEVLI": (_EVENT, "event list"), "PIEVLI": (_EVENT, "event list"), "TIEVLI": (_EVENT, "event list"),
    "MIEVL": (_EVENT, "event list"), "PIEVL": (_EVENT, "event list"), "TIEVL": (_EVENT, "event list"),
    "EVENLI": (_EVENT, "event list"),
    "IMAGE_": (_IMAGE, "image"), "OIMAGE": (_IMAGE, "image of all exposures"), "3COLIM": (_IMAGE, "three-colour image"),
    "SIMAGE": (_IMAGE, "sky image"), "ORDIMG": (_IMAGE, "image of the orders"),
    "EXPMAP": (_IMAGE, "exposure map"), "OEXPMP": (_IMAGE, "exposure map of all exposures"),
    "BKGMAP": (_IMAGE, "background map"), "OBKGMP": (_IMAGE, "background map of all exposures"),
    "EXSNMP": (_IMAGE, "sensitivity map"), "OSNSMP": (_IMAGE, "sensitivity map of all exposures"),
    "DETMSK": (_IMAGE, "detection mask"),
    "SRSPEC": (_SPECTRUM, "source spectrum"), "BGSPEC": (_SPECTRUM, "background spectrum"),
    "FLUXED": (_SPECTRUM, "fluxed spectrum"), "BGMODL": (_SPECTRUM, "background model"),
    "SRCARF": ("", "ancillary response"), "RSPMAT": ("", "response matrix"),
    "SRCTSR": (_SERIES, "source light curve"), "FBKTSR": (_SERIES, "light curve of the flaring background"),
    "TIMESR": (_SERIES, "light curve"), "ATTTSR": (_SERIES, "attitude"),
    "EMSRLI": (_SOURCES, "source list"), "OMSRLI": (_SOURCES, "source list of all exposures"),
    "EBLSLI": (_SOURCES, "source list of the local search"), "EBMSLI": (_SOURCES, "source list of the map search"),
    "OBLSLI": (_SOURCES, "source list of the local search"), "OBMSLI": (_SOURCES, "source list of the map search"),
    "OBSMLI": (_SOURCES, "summary source list"), "SRCLI_": (_SOURCES, "source list"),
    "SWSRLI": (_SOURCES, "source list"),
    "CALIND": ("", "index of calibration files"), "REGION": ("", "source regions"), "SRCREG": ("", "source regions"),
}  # fmt: skip
"""The dataproduct_type of ObsCore ('' for none) and the words of each type of product."""

_NAME: Final = re.compile(
    r"P(?P<obs_id>\d{10})(?P<instrument>M1|M2|PN|EP|R1|R2|RG|OM|OB|CA)(?P<exposure>[SUX]\d{3})"
    r"(?P<type>[A-Z0-9_]{6}|[MPT]IEVL(?=0))(?P<subset>[A-Z0-9_])(?P<source>[0-9A-F]{3})",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True)
class PpsName:
    """What a name says; texts are empty where it says nothing.

    `exposure` is such as S001, '' for a product of several exposures; `type` the type of product as it is written;
    `subset` the energy band, order or filter; `source` the number of the source in hexadecimal digits, '' for none.
    """

    obs_id: str
    instrument: str
    exposure: str
    type: str
    subset: str
    source: str

    @property
    def dataproduct_type(self) -> str:
        """The dataproduct_type of ObsCore; '' for none, or a type that is not known here."""
        return _TYPES.get(self.type, ("", ""))[0]

    @property
    def words(self) -> str:
        """What the product is in words; its type where that is not known here."""
        return _TYPES.get(self.type, ("", self.type))[1]

    @property
    def is_epic_event_list(self) -> bool:
        """Whether it is an event list of an EPIC camera."""
        return self.dataproduct_type == _EVENT and self.instrument in ("EPN", "EMOS1", "EMOS2")


def parse(name: str) -> PpsName | None:
    """Return what the name of a file says, with its suffixes or without; None if it is none of the pipeline."""
    match = _NAME.fullmatch(name.split(".", 1)[0])
    if match is None:
        return None
    parts = {key: text.upper() for key, text in match.groupdict().items()}
    return PpsName(
        parts["obs_id"],
        INSTRUMENTS.get(parts["instrument"], ""),
        "" if parts["exposure"].startswith("X") else parts["exposure"],
        parts["type"],
        "" if parts["subset"] == "0" else parts["subset"],
        "" if parts["source"] == "000" else parts["source"],
    )
