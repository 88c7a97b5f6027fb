"""Region formats that are not read, by what they are; may import `shapes`."""

from __future__ import annotations

import re

from reduction.regions.shapes import ShapeError, shortened

READ = "DS9, CIAO, STC-S, DALI, ADQL and JSON text and expressions of the SAS are read"
_FORMATS = (
    (r"#\s*CRTF", "a region file of CASA (CRTF)"),
    (r"<", "XML or HTML"),
    (r"SIMPLE  =|XTENSION=", "a FITS file"),
    (r"\{\\rtf", "a formatted document (RTF)"),
    (r"%PDF", "a PDF document"),
    (r"\d+/[\d,/ \t\r\n-]*$", "a MOC in ASCII"),
    (r"#\s*(?:Region file format:\s*)?(?:SAOtng|SAOimage)\b", "a region file of SAOtng or SAOimage"),
)
_LINES_OF_NUMBERS = re.compile(r"(?:[-+.\deE, \t]+(?:\r\n|\r|\n)+)+[-+.\deE, \t]+")


def refuse(text: str) -> None:
    """Raise ShapeError for a text of a known format that is not read."""
    begin = text.lstrip()
    for pattern, name in _FORMATS:
        if re.match(pattern, begin, re.IGNORECASE):
            raise ShapeError(f"'{shortened(begin)}' is {name}, which is not read; {READ}")
    if _LINES_OF_NUMBERS.fullmatch(begin.rstrip()):
        raise ShapeError(
            f"'{shortened(begin)}' is a list of numbers, which is no region; give a shape, such as "
            'fk5; circle(148.97,69.65,40")'
        )
