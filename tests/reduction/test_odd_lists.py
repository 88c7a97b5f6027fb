"""Each job on lists of EPIC that are no usual observation: refused, or reduced and told, in the same words by all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.coordinates import FK4, FK5, SkyCoord
from astropy.io import fits
from astropy.time import Time

from missionlists import run_job
from reduction import regions
from reduction.errors import ReductionError
from reduction.events.eventlist import open_eventlist
from synthetic import Epic, write

CIRCLE, RING = "physical; circle(24000,27000,2500)", "physical; annulus(24000,27000,2600,5000)"
PAIR = {"source_region": CIRCLE, "background_region": RING}
JOBS: dict[str, dict[str, Any]] = {
    "events": {"region": CIRCLE},
    "flare_filter": {"method": "fixed", "threshold": 100.0},
    "image": {"bands": ["0.2 12"], "bin_size": 60.0},
    "lightcurve": {**PAIR, "bin_size": 500.0},
    "spectrum": PAIR,
    "upper_limit": PAIR,
}


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("mode", ["TIMING", "BURST"])
def test_timing_and_burst_mode_are_refused_by_every_job_that_needs_places(tmp_path: Path, job: str, mode: str) -> None:
    write(tmp_path / "pn.fits", Epic(rows=1000, cards=(("DATAMODE", mode),)))
    sentence = f"in {mode} mode, only IMAGING mode can be reduced: in timing and burst mode RAWY is time"
    with pytest.raises(ReductionError, match=sentence) as caught:
        run_job(tmp_path / "job", job, eventlist=tmp_path / "pn.fits", **JOBS[job])
    assert caught.value.parameter == "eventlist"
    assert not list((tmp_path / "job").glob("results/*"))


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize(("card", "said"), [
    (("OBS_MODE", "SLEW"), "Note: OBS_MODE is SLEW: the telescope moved"),
    (("FILTER", "Closed"), "Note: FILTER is Closed: no light of the sky came in"),
    (("FILTER", "CalThin1"), "Note: FILTER is CalThin1: the calibration source was on"),
])  # fmt: skip
def test_slews_closed_filters_and_calibrations_are_reduced_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], job: str, card: tuple[str, str], said: str
) -> None:
    write(tmp_path / "pn.fits", Epic(rows=3000, cards=(card,)))
    assert run_job(tmp_path / "job", job, eventlist=tmp_path / "pn.fits", **JOBS[job])
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(("job", "said"), [
    ("events", None), ("flare_filter", None), ("lightcurve", None), ("spectrum", None), ("upper_limit", None),
    ("image", "no sky coordinates"),
])  # fmt: skip
def test_without_a_projection_regions_of_pixels_still_work_and_those_of_the_sky_are_refused(
    tmp_path: Path, job: str, said: str | None
) -> None:
    write(tmp_path / "pn.fits", Epic(rows=3000, sky=False))
    if said:
        with pytest.raises(ReductionError, match=said):
            run_job(tmp_path / "job", job, eventlist=tmp_path / "pn.fits", **JOBS[job])
        return
    assert run_job(tmp_path / "job", job, eventlist=tmp_path / "pn.fits", **JOBS[job])
    places = {key: 'icrs; circle(149, 69.65, 40")' for key in JOBS[job] if key.endswith("region")}
    if places:
        with pytest.raises(ReductionError, match="is on the sky, but the event list has no sky coordinates"):
            run_job(tmp_path / "sky", job, eventlist=tmp_path / "pn.fits", **{**JOBS[job], **places})


def test_a_region_selects_the_same_events_of_two_observations_in_different_frames(tmp_path: Path) -> None:
    """The same photons, once in FK5 of 2000 and once in FK4 of 1950, by a circle in ICRS."""
    write(tmp_path / "fk5.fits", Epic(rows=20000))
    with fits.open(tmp_path / "fk5.fits") as hdus:
        header = hdus["EVENTS"].header
        keys = [next(key for key in header if header[key] == kind) for kind in ("RA---TAN", "DEC--TAN")]
        values = [key.replace("CTYP", "CRVL").replace("TCTYP", "TCRVL") for key in keys]
        old = FK4(equinox=Time(1950, format="byear"))
        centre = SkyCoord(header[values[0]], header[values[1]], unit="deg", frame=FK5(equinox="J2000"))
        for key, value in zip(values, (centre.transform_to(old).ra.deg, centre.transform_to(old).dec.deg), strict=True):
            header[key] = value
        header["RADECSYS"], header["EQUINOX"] = "FK4", 1950.0
        hdus.writeto(tmp_path / "fk4.fits")
    circle = f'icrs; circle({centre.icrs.ra.deg}, {centre.icrs.dec.deg}, 200")'
    found = []
    for name in ("fk5", "fk4"):
        with open_eventlist(tmp_path / f"{name}.fits") as events:
            (row,) = regions.parse(circle).on(events.wcs).table_rows()
            found.append((row.x[0], row.y[0], row.r[0]))
        made = run_job(tmp_path / name, "events", eventlist=tmp_path / f"{name}.fits", region=circle)
        found.append(np.sort(fits.getdata(made["events.fits"], "EVENTS")["TIME"]))
    assert found[0] == pytest.approx(found[2], rel=1e-4)
    assert found[1].size > 50
    assert np.array_equal(found[1], found[3])
