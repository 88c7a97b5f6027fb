"""Headers of filtered lists: times, counts and data subspace follow the selection; read here by plain keywords."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from reduction import regions
from reduction.events import dss
from reduction.events.eventlist import open_eventlist
from reduction.events.filtered import writing_events
from reduction.events.gathering import Target, gather
from reduction.events.goodtime import GTI
from reduction.events.selection import choose
from synthetic import START, Epic, gtis, write

TOTAL_S = sum(stop - start for ccd in range(1, 13) for start, stop in gtis(ccd))


def filtered(folder: Path, text: str | None, user: dict[int | None, GTI] | None = None) -> Path:
    """The selected rows of a list whose headers give its times in every usual way, and how many rows it has."""
    cards = (("ONTIME", 9000.0), ("LIVETIME", 8100.0), ("EXPOSURE", 8100.0), ("NEVENTS", 4000))
    write(folder / "pn.fits", Epic(rows=4000, cards=cards))
    with open_eventlist(folder / "pn.fits") as events:
        selection = choose(events, "0.2 12.0", user_gti=user)
        region = regions.parse(text).on(events.wcs) if text else None
        subspace = dss.describe(events, selection, region)
        with writing_events(folder / "events.fits", events, subspace, selection.gtis) as sink:
            gather(events, selection, [Target(region, sink)])
    return folder / "events.fits"


def test_times_of_the_header_are_scaled_by_the_good_time_that_is_left(tmp_path: Path) -> None:
    """The user takes 2000 s of every CCD; those of the whole instrument shrink as the sum over the CCDs does."""
    header = fits.getheader(filtered(tmp_path, None, {None: GTI.of([START], [START + 2000])}), "EVENTS")
    left = 12 * 2000.0 / TOTAL_S
    assert header["ONTIME"] == pytest.approx(9000.0 * left)
    assert header["LIVETIME"] == header["EXPOSURE"] == pytest.approx(8100.0 * left)
    for ccd in range(1, 13):
        assert header[f"ONTIME{ccd:02d}"] == pytest.approx(2000.0)
        assert header[f"LIVETI{ccd:02d}"] == pytest.approx(2000.0 * (0.90 + ccd / 1000))


def test_times_stay_where_no_good_time_is_taken_away(tmp_path: Path) -> None:
    header = fits.getheader(filtered(tmp_path, "physical; circle(25921,25921,3000)"), "EVENTS")
    assert (header["ONTIME"], header["LIVETIME"], header["EXPOSURE"]) == (9000.0, 8100.0, 8100.0)


def test_a_ccd_without_good_time_has_no_time(tmp_path: Path) -> None:
    with fits.open(filtered(tmp_path, None, {3: GTI.of([START], [START + 3000])})) as hdus:
        header = hdus["EVENTS"].header
        assert header["ONTIME03"] == pytest.approx(3000.0)
        assert {header[f"ONTIME{ccd:02d}"] for ccd in range(1, 13) if ccd != 3} == {0.0}
        assert set(hdus["EVENTS"].data["CCDNR"].tolist()) == {3}


def test_a_number_of_events_that_no_longer_holds_is_not_carried(tmp_path: Path) -> None:
    with fits.open(filtered(tmp_path, "physical; circle(25921,25921,3000)")) as hdus:
        assert hdus["EVENTS"].header.get("NEVENTS", len(hdus["EVENTS"].data)) == len(hdus["EVENTS"].data) < 4000


@pytest.mark.parametrize("text", [None, "physical; circle(25921,25921,3000)"])
def test_each_component_refers_to_the_good_times_of_its_ccd(tmp_path: Path, text: str | None) -> None:
    """2DSREF5 stands beside DSTYP5: only there is it what the time of the second CCD is limited by."""
    with fits.open(filtered(tmp_path, text)) as hdus:
        header = hdus["EVENTS"].header
        number = {header[f"DSTYP{n}"]: n for n in range(1, 10) if f"DSTYP{n}" in header}
        further = {key for key in header if re.fullmatch(r"\d+DS(VAL|REF)\d", key)}
        assert further == {f"{component}DS{part}{number[kind]}" for component in range(2, 13)
                           for part, kind in (("VAL", "CCDNR"), ("REF", "TIME"))}  # fmt: skip
        for component in range(1, 13):
            prefix = "" if component == 1 else str(component)
            ccd = int(header[f"{prefix}DSVAL{number['CCDNR']}"])
            table = hdus[header[f"{prefix}DSREF{number['TIME']}"].lstrip(":")]
            assert table.header["CCDID"] == ccd == component
            assert list(zip(table.data["START"], table.data["STOP"], strict=True)) == gtis(ccd)
            assert table.header["ONTIME"] == pytest.approx(sum(stop - start for start, stop in gtis(ccd)))
            assert (table.header["TSTART"], table.header["TSTOP"]) == (gtis(ccd)[0][0], gtis(ccd)[-1][1])
        if text:
            assert header[f"DSREF{number['POS(X,Y)']}"] == ":REG00101"


def test_a_region_table_holds_every_component_with_all_its_digits(tmp_path: Path) -> None:
    """Each included shape begins a component, to which the shapes cut out of it belong."""
    text = "physical; circle(25000.25,26000.5,900.75)\n-circle(25000.25,26000.5,100)\nbox(28000,28000,800,600,30)"
    table = fits.getdata(filtered(tmp_path, text), "REG00101")
    shapes = [str(shape).strip() for shape in table["SHAPE"]]
    components = dict(zip(shapes, table["COMPONENT"].tolist(), strict=True))
    assert list(components) == ["CIRCLE", "!CIRCLE", "BOX"]
    assert components["CIRCLE"] == components["!CIRCLE"] != components["BOX"]
    row = table[0]
    assert (row["X"], row["Y"], np.ravel(row["R"])[0]) == (25000.25, 26000.5, 900.75)
