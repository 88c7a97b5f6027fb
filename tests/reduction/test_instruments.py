"""The built-in area, vignetting and point spread function, against the real responses and published figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from astropy.io import fits

from reduction.instruments import carbon, effective_area, king, single_share, vignetting
from reduction.instruments.psf import LIMIT_ARCSEC

Floats = npt.NDArray[np.float64]

ENERGIES = np.concatenate((np.arange(0.3, 2.5, 0.02), np.arange(2.5, 10.0, 0.1)))


def real(path: Path) -> Floats:
    """The area of a real ancillary response at `ENERGIES`, smoothed over 50 eV as its grid and edges ask for."""
    table = fits.getdata(path, "SPECRESP")
    middle = (table["ENERG_LO"].astype(float) + table["ENERG_HI"]) / 2
    return np.array([np.mean(np.interp(np.linspace(e - 0.025, e + 0.025, 11), middle, table["SPECRESP"]))
                     for e in ENERGIES])  # fmt: skip


def smooth(camera: str, with_carbon: float = 1.0) -> Floats:
    """The built-in area, smoothed likewise; that of a clean camera if `with_carbon` is 0."""
    windows = [np.linspace(e - 0.025, e + 0.025, 11) for e in ENERGIES]
    return np.array([np.mean(effective_area(camera, e) / carbon(camera, e) ** (1 - with_carbon)) for e in windows])


@pytest.mark.parametrize(
    ("name", "camera", "radius_arcsec", "off_axis_arcmin"),
    [
        ("xmm_ngc7793_ulx4/PN.arf", "EPN", 40.0, 2.1),
        ("xmm_ngc7793_ulx4/MOS1.arf", "EMOS1", 40.0, 2.1),
        ("xmm_ngc7793_ulx4/MOS2.arf", "EMOS2", 40.0, 2.1),
        ("xmm_pn_canned/pn_pi_src.arf", "EPN", 15.0, 0.5),
    ],
)
def test_the_area_of_a_point_source_is_within_a_tenth_of_the_real_one(
    shared: Path, name: str, camera: str, radius_arcsec: float, off_axis_arcmin: float
) -> None:
    encircled = king(camera, ENERGIES, off_axis_arcmin).encircled(radius_arcsec)
    ours = smooth(camera) * encircled * vignetting(ENERGIES, off_axis_arcmin)
    ratio = ours / real(shared / "real" / name)
    assert np.abs(np.log(ratio)).max() < np.log(1.1), dict(zip(ENERGIES.round(2), ratio.round(2), strict=True))


@pytest.mark.parametrize(("camera", "place"), [("EMOS1", 2.0), ("EMOS2", 2.0), ("EPN", 2.0)])
def test_the_area_of_an_extended_source_is_within_a_tenth_of_the_real_one(
    shared: Path, camera: str, place: float
) -> None:
    # 0605960101, an annulus of 15 to 150 arcsec; pn: single events, 6.6 % of the area lost; MOS: SAS 10, no carbon yet
    name = {"EMOS1": "mos1", "EMOS2": "mos2", "EPN": "pn"}[camera]
    ours = smooth(camera, with_carbon=0.0) * vignetting(ENERGIES, place)
    if camera == "EPN":
        ours *= single_share(ENERGIES) * 26_133_082 / (np.pi * (3000**2 - 300**2))
    ratio = ours / real(shared / "real" / "xmm_psrj0855" / f"xmm_{name}_0605960101.arf")
    assert np.abs(np.log(ratio)).max() < np.log(1.1), dict(zip(ENERGIES.round(2), ratio.round(2), strict=True))


def test_there_is_no_area_outside_of_the_table() -> None:
    assert effective_area("EPN", np.array([0.1, 0.15, 14.95, 20.0])).tolist() == [0, 0, 0, 0]


def test_vignetting_falls_with_angle_and_with_energy() -> None:
    angle, energy = np.linspace(0, 17, 171), np.linspace(0.2, 12, 60)
    factor = vignetting(energy[:, None], angle[None, :])
    assert factor.shape == (60, 171)
    assert (factor[:, 0] == 1).all()
    assert (np.diff(factor, axis=1) < 0).all()
    assert (np.diff(factor[:, 1:], axis=0) <= 1e-12).all()
    assert vignetting(np.array([1.5]), 20.0) == vignetting(np.array([1.5]), 17.0)


@pytest.mark.parametrize("camera", ["EPN", "EMOS1", "EMOS2"])
@pytest.mark.parametrize("off_axis", [0.0, 5.0, 14.0])
def test_encircled_energy_is_the_integral_of_the_profile(camera: str, off_axis: float) -> None:
    profile = king(camera, np.array(1.5), off_axis)
    core, slope = float(profile.core_arcsec), float(profile.slope)

    def light(radius: float) -> float:
        r = np.linspace(0, radius, 400_001)
        return float(np.trapezoid(r * (1 + (r / core) ** 2) ** -slope, r))

    for radius in (5.0, 40.0, 299.0):
        assert float(profile.encircled(radius)) == pytest.approx(light(radius) / light(LIMIT_ARCSEC), rel=1e-6)
        assert float(profile.radius(profile.encircled(radius))) == pytest.approx(radius, rel=1e-6)
    assert float(profile.encircled(1000.0)) == 1.0


@pytest.mark.parametrize(
    ("camera", "radius", "published"),
    [("EMOS1", 15, 0.68), ("EMOS1", 30, 0.83), ("EMOS1", 60, 0.92), ("EMOS2", 15, 0.69), ("EMOS2", 60, 0.93),
     ("EPN", 15, 0.71), ("EPN", 30, 0.88), ("EPN", 60, 0.95)],
)  # fmt: skip
def test_encircled_energy_is_near_the_one_the_sas_tabulates(camera: str, radius: float, published: float) -> None:
    # eupper states 5 per cent; the King profile of pn is wider than its table, by 11 per cent at 15 arcsec
    far = 0.11 if camera == "EPN" else 0.05
    assert float(king(camera, np.array(1.5), 2.0).encircled(radius)) == pytest.approx(published, rel=far)


@pytest.mark.parametrize("camera", ["EPN", "EMOS1", "EMOS2"])
def test_the_profile_grows_off_the_axis(camera: str) -> None:
    half = [float(king(camera, np.array(1.5), angle).radius(np.array(0.8))) for angle in (0.0, 5.0, 10.0)]
    assert half[0] < half[1] < half[2]
