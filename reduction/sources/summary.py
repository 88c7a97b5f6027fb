"""What was chosen and counted of a source in each event list, and in all of them together; may import astropy."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from astropy.io import fits
from astropy.table import Table

from reduction.sources.apertures import Apertures
from reduction.timing.limits import chance, limits

SPECTRUM, RECORD = "source_spectrum.fits", "source.json"

_LEAST_CHANCE = 1e-300
"""What is below it is near the smallest number that a computer has."""
_KEYWORDS = {"counts": "COUNTS", "background_counts": "BACKCTS", "ratio": "BACKRAT", "chance": "CHANCE",
             "exposure_s": "EXPOSURE", "encircled": "ENCIRCLE"}  # fmt: skip
_COLUMNS = ("part", "telescope", "instrument", "obs_id", "radius_arcsec", "encircled", "exposure_s", "counts",
            "background", "rate", "rate_error", "chance", "confidence", "rate_low", "rate_high")  # fmt: skip


def record_of(limits_file: Path, chosen: Apertures) -> dict[str, Any]:
    """Return what was chosen and counted in an event list.

    Parameters
    ----------
    limits_file
        The product of the job upper_limit.
    chosen
        The regions.

    Returns
    -------
    dict
        An object of JSON.
    """
    with fits.open(limits_file, memmap=False) as hdus:
        header, table = hdus["LIMITS"].header, hdus["LIMITS"].data
        found: dict[str, Any] = {name: header[key] for name, key in _KEYWORDS.items()}
        found["limits"] = [{"confidence": float(row["CONFIDENCE"]), "rate_low": float(row["RATE_LO"]),
                            "rate_high": float(row["RATE_UP"])} for row in table]  # fmt: skip
        primary = hdus[0].header
        for name, key in (("telescope", "TELESCOP"), ("instrument", "INSTRUME"), ("obs_id", "OBS_ID")):
            found[name] = str(header.get(key, primary.get(key, ""))).strip()
    holes = [{"ra": hole.neighbour.ra, "dec": hole.neighbour.dec, "radius_arcsec": hole.radius_arcsec,
              "counts": hole.neighbour.counts} for hole in chosen.holes]  # fmt: skip
    return found | {
        "ra": chosen.centre[0], "dec": chosen.centre[1], "radius_arcsec": chosen.radius_arcsec,
        "expected_signal_to_noise": chosen.signal_to_noise, "ring_arcsec": list(chosen.ring), "neighbours": holes,
    }  # fmt: skip


def net_rate(record: Mapping[str, Any]) -> tuple[float, float]:
    """Return the count rate of the whole source, less the background, and its error."""
    seconds = record["exposure_s"] * record["encircled"]
    net = record["counts"] - record["ratio"] * record["background_counts"]
    error = math.sqrt(record["counts"] + record["ratio"] ** 2 * record["background_counts"])
    return (net / seconds, error / seconds) if seconds > 0 else (math.nan, math.nan)


def together(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the sums of some records as one: counts, expected background and live time; limits anew of the sums.

    The limits of a rate are those of its mean over the live times, each with its own part of the light.
    """
    counts = sum(int(each["counts"]) for each in records)
    expected = sum(each["ratio"] * each["background_counts"] for each in records)
    variance = sum(each["ratio"] ** 2 * each["background_counts"] for each in records)
    exposure = sum(each["exposure_s"] for each in records)
    seconds = sum(each["exposure_s"] * each["encircled"] for each in records)
    found = [limits(counts, expected, each["confidence"]) for each in records[0]["limits"]]
    return {
        "counts": counts, "background": expected, "exposure_s": exposure, "encircled": seconds / exposure,
        "rate": (counts - expected) / seconds, "rate_error": math.sqrt(counts + variance) / seconds,
        "chance": chance(counts, expected),
        "limits": [{"confidence": each.confidence, "rate_low": each.lower / seconds, "rate_high": each.upper / seconds}
                   for each in found],
    }  # fmt: skip


def rows_of(records: Mapping[int, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each part and its first confidence, then one for each camera that has several, then one for all.

    Cameras have different areas: of all together there are counts and their chance, and no rate.
    """
    rows = []
    for part, record in records.items():
        rate, error = net_rate(record)
        known = {**record, "background": record["ratio"] * record["background_counts"], "rate": rate,
                 "rate_error": error}  # fmt: skip
        rows.append(_row(str(part), known, record["limits"][0]))
    cameras: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for record in records.values():
        cameras.setdefault((record["telescope"], record["instrument"]), []).append(record)
    for (telescope, instrument), some in cameras.items():
        if len(some) > 1:
            summed = together(some) | {"telescope": telescope, "instrument": instrument}
            rows.append(_row("camera", summed, summed["limits"][0]))
    if len(cameras) > 1:
        rows.append(_row("all", together(list(records.values())) | {"rate": math.nan, "rate_error": math.nan}, {}))
    return rows


def _row(part: str, known: Mapping[str, Any], limit: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"part": part} | {name: known.get(name, math.nan) for name in _COLUMNS[4:12]}
    row |= {name: str(known.get(name, "")) for name in ("telescope", "instrument", "obs_id")}
    return row | {name: limit.get(name, math.nan) for name in ("confidence", "rate_low", "rate_high")}


def table_of(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Return rows as ECSV."""
    text = io.StringIO()
    Table({name: [row[name] for row in rows] for name in _COLUMNS}).write(text, format="ascii.ecsv")
    return text.getvalue().encode()


def text_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows in words."""
    lines = [f"{'part':8}{'camera':10}{'observation':13}{'radius':>7}{'live s':>10}{'counts':>8}{'background':>12}"
             f"{'rate':>11}{'+-':>10}{'chance':>10}  limits of the rate"]  # fmt: skip
    for row in rows:
        low, high = row["rate_low"], row["rate_high"]
        limit = "" if math.isnan(high) else f"{row['confidence']:.2%}: "
        limit += "" if math.isnan(high) else f"below {high:.3g}" if low <= 0 else f"{low:.3g} to {high:.3g}"
        lines.append(
            f"{row['part']:8}{row['instrument']:10}{row['obs_id']:13}{_number(row['radius_arcsec'], '7.0f')}"
            f"{row['exposure_s']:10.1f}{row['counts']:8d}{row['background']:12.2f}{_number(row['rate'], '11.4g')}"
            f"{_number(row['rate_error'], '10.2g')}{_chance(row['chance']):>10}  {limit}".rstrip()
        )
    lines += ["", "radius in arcsec; rates in counts/s, corrected for the light outside of the region;",
              "chance: probability that the background alone gives as many counts or more."]  # fmt: skip
    return "\n".join(lines) + "\n"


def _number(value: float, form: str) -> str:
    return " " * int(form.split(".")[0]) if math.isnan(value) else format(value, form)


def _chance(value: float) -> str:
    """Return a probability; of one that no number is small enough for, that it is lower."""
    return f"<{_LEAST_CHANCE:.0e}" if value < _LEAST_CHANCE else f"{value:.2g}"
