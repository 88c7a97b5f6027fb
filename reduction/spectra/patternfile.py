"""The file of patterns: single, double, triple and quadruple events by energy, beside what is expected of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from provenance.fits.atomic import write_bytes
from reduction.events import fitswrite
from reduction.events.dss import DataSubspace
from reduction.events.eventlist import EventList
from reduction.events.fitswrite import LONGSTRN, Cards, TableColumn
from reduction.spectra.ogip import primary_cards
from reduction.spectra.patterns import EDGES_KEV, PatternCounts, PileUp, binned, expected_of

NAMES = ("SINGLES", "DOUBLES", "TRIPLES", "QUADRUPLES")


def write_patterns(path: Path, counted: PatternCounts, found: PileUp | None, subspace: DataSubspace) -> None:
    """Write the patterns of the events of a region, whole or not at all.

    Parameters
    ----------
    path
        The file; an existing file is replaced.
    counted
        The events.
    found
        The ratios in the band that is compared; None for too few events.
    subspace
        Which events were counted, from `dss.describe`.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    counts = binned(counted.counts)
    expected = expected_of(counted.events.mission)
    assert expected is not None
    low, high = EDGES_KEV[:-1], EDGES_KEV[1:]
    both = counts[0] + counts[1]
    model = expected.at(np.sqrt(low * high))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = counts[0] / both
        error = np.sqrt(np.maximum(model * (1 - model), 0) / both)
    columns = [
        TableColumn("ENERG_LO", low.astype(np.float32), "keV", "lower edge of the bin"),
        TableColumn("ENERG_HI", high.astype(np.float32), "keV", "upper edge of the bin"),
        *(TableColumn(name, counts[number].astype(np.int32), "count", f"{name.lower()} selected")
          for number, name in enumerate(NAMES)),
        TableColumn("FRAC_S", share.astype(np.float32), "", "singles among singles and doubles"),
        TableColumn("ERR_S", error.astype(np.float32), "", "its error of counting"),
        TableColumn("FRAC_D", (1 - share).astype(np.float32), "", "doubles among singles and doubles"),
        TableColumn("ERR_D", error.astype(np.float32), "", "its error of counting"),
        TableColumn("MODEL_S", model.astype(np.float32), "", "FRAC_S without pile-up"),
        TableColumn("MODEL_D", (1 - model).astype(np.float32), "", "FRAC_D without pile-up"),
    ]  # fmt: skip
    table = fitswrite.table("PATTERNS", columns, _cards(counted.events, found, subspace, expected.uncertain))
    write_bytes(path, b"".join([fitswrite.header(primary_cards(counted.events)), table, *subspace.tables]))


def _cards(events: EventList, found: PileUp | None, subspace: DataSubspace, uncertain: float) -> Cards:
    return [
        *LONGSTRN,
        ("TELESCOP", events.keywords.get("TELESCOP"), "Telescope (mission) name"),
        ("INSTRUME", events.keywords.get("INSTRUME"), "Instrument name"),
        ("FILTER", events.keywords.get("FILTER"), "Filter ID"),
        ("HDUCLAS1", "PATTERNS", "Fractions of event patterns; no class of OGIP"),
        ("SLCTEXPR", subspace.expression, ""),
        *subspace.cards,
        *(found.cards if found else []),
        ("MODELUNC", uncertain, "Uncertainty of MODEL_S and MODEL_D"),
    ]
