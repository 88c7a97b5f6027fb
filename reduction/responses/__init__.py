"""Responses of a camera: effective area and redistribution of energy, and the OGIP files (ARF, RMF) that hold them."""

from __future__ import annotations

from reduction.responses.area import EffectiveArea as EffectiveArea
from reduction.responses.areafile import read_effective_area as read_effective_area
from reduction.responses.areafile import write_effective_area as write_effective_area
from reduction.responses.combine import Exposed as Exposed
from reduction.responses.combine import combine as combine
from reduction.responses.redistribution import Redistribution as Redistribution
from reduction.responses.redistributionfile import read_redistribution as read_redistribution
from reduction.responses.redistributionfile import write_redistribution as write_redistribution
