"""Regions of the sky or of an event list's X,Y plane: read from text, placed on a WCS, tested for the events in them.

Shapes are objects of the ``regions`` package: circle, ellipse, annulus, elliptical annulus, box, polygon. A set of
shapes selects what lies in any included and in no excluded shape, whatever their order. The border belongs to the
shape, as in SAS and cfitsio; points on the border of a polygon may count as inside or outside.

`parse` recognises which of the notations a text has; a text of another format is refused by its name.

DS9
    Frames ``icrs fk5 j2000 fk4 b1950 galactic physical``, one of which must be stated before the first shape;
    ``global`` lines, comments, properties, ``;`` between statements, ``circle(x,y,r)`` and ``circle x y r``,
    sexagesimal positions, sizes with ``" ' d r`` (degrees without), rings cut into ``n=`` parts (the whole ring) and
    composite regions (their parts). ``physical`` means the X and Y columns of the event list. A leading ``-`` or ``!``,
    the property ``include=0`` or ``global include=0`` excludes; ``A & !B`` cuts B out of A. A file in which some
    shapes are marked as background (``background``, ``source=0``, ``tag={background}``) and some are not holds two
    regions, which `parse_with_background` reads; what is cut out of the background is marked as such, too.

CIAO
    With CIAO's first line: numbers without a unit are physical, positions that are sexagesimal or in degrees with a
    ``d`` are FK5; ``-``, ``!`` or ``*!`` cuts a shape out of the one before.

SAS
    Selection expressions on X,Y: ``((X,Y) IN circle(24783.467,28244.9,800))``, ``circle(27671.939,24896.105,1011.96,X,
    Y)``, joined by ``||`` and cut out by ``&& !``; boxes have half-widths, elliptical rings two rotations. Expressions
    that select on other columns too are refused.

STC-S
    ``Circle ICRS ra dec radius``, ``Polygon``, ``Box`` (full sizes), ``Ellipse`` (semi-axes, angle from the first axis
    to the second, the default of STC), ``Union``, ``Difference``, ``Intersection ... Not``; frames ``ICRS FK5 FK4
    GALACTIC``, degrees. Without a frame, as in DALI (``CIRCLE ra dec radius``), ICRS.

SODA, DALI, ADQL
    ``RANGE`` of SODA, which becomes a polygon; three bare numbers (``ra dec radius``), or six and more in pairs (a
    polygon); one function ``CIRCLE('ICRS', ra, dec, radius)``, ``BOX``, ``POLYGON`` or ``REGION`` of ADQL.

JSON
    One object or a list of objects::

        {"shape": "circle",          "centre": [x, y], "radius": L}
        {"shape": "ellipse",         "centre": [x, y], "semi_axes": [L, L], "angle": A}
        {"shape": "annulus",         "centre": [x, y], "inner": L, "outer": L}
        {"shape": "ellipse_annulus", "centre": [x, y], "inner": [L, L], "outer": [L, L], "angle": A}
        {"shape": "box",             "centre": [x, y], "size": [L, L], "angle": A}
        {"shape": "polygon",         "vertices": [[x, y], [x, y], [x, y], ...]}

    with ``"frame"`` (``icrs`` if absent, ``fk5 fk4 galactic physical``) and ``"exclude": true`` where wanted. Positions
    are degrees (X,Y values when physical). A length L or angle A is a number of degrees (a length: of X,Y pixels when
    physical) or ``{"value": 40, "unit": "arcsec"}`` with unit deg, arcmin, arcsec or rad. Angles run as in DS9:
    anticlockwise from the X axis of an image with north up, so 90 is north.

Limits: 100 kB of text, 1,000 shapes.
"""

from __future__ import annotations

from reduction.regions.core import PROJECTION_LIMIT_DEG, RegionSet
from reduction.regions.pixel import PixelRegionSet, TableRow
from reduction.regions.reader import MAX_BYTES, MAX_SHAPES, parse, parse_with_background

__all__ = [
    "MAX_BYTES",
    "MAX_SHAPES",
    "PROJECTION_LIMIT_DEG",
    "PixelRegionSet",
    "RegionSet",
    "TableRow",
    "parse",
    "parse_with_background",
]
