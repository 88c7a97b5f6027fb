"""Numbers with units as people write them. Imports words, and the conversion where one is needed."""

from __future__ import annotations

from uws_server.jobs.words import shorten


def convert(number: float, unit: str, wanted: str) -> float:
    """Convert a number from `unit` to `wanted`; energies, wavelengths and frequencies stand for each other.

    Raises ValueError with a sentence.
    """
    if not wanted:
        raise ValueError(f"unit {shorten(unit)} came, a plain number is expected")
    if unit.strip() == wanted.strip():
        return number  # also where a definition has a unit that nobody knows, such as those that are imported
    from uws_server.jobs.conversion import converted  # not before two units differ: astropy takes 0.2 s and 20 MiB

    return converted(number, unit, wanted)
