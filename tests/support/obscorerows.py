"""Made-up rows of ivoa.obscore, put straight into a database: as many as wanted, the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import sqlalchemy as sa

from uws_server.storage.tap_rows import values_of
from uws_server.storage.tap_tables import tap_obscore

AT_ONCE = 5000
CAMERAS = ("EPN", "EMOS1", "EMOS2", "OM", "RGS1")
KINDS = ("event", "image", "spectrum", "timeseries")


def made_up(count: int, seed: int = 1) -> Iterator[list[dict[str, Any]]]:
    """Yield rows in pieces: uniform on the sphere, with the columns filled that products of ours have."""
    random = np.random.default_rng(seed)
    for first in range(0, count, AT_ONCE):
        number = min(AT_ONCE, count - first)
        ra = random.uniform(0, 360, number)
        dec = np.degrees(np.arcsin(random.uniform(-1, 1, number)))
        begin, length = random.uniform(51600, 61300, number), random.uniform(1e3, 1e5, number)
        yield [
            _row(first + at, float(ra[at]), float(dec[at]), float(begin[at]), float(length[at])) for at in range(number)
        ]


def _row(number: int, ra: float, dec: float, begin: float, seconds: float) -> dict[str, Any]:
    kind, camera, target = KINDS[number % 4], CAMERAS[number % 5], f"Source {number % 5000}"
    row: Mapping[str, Any] = {
        "dataproduct_type": kind, "dataproduct_subtype": f"{kind}.total", "calib_level": 2, "target_name": target,
        "obs_id": f"{number // 20:010d}", "obs_title": f"XMM-Newton {camera} {kind} of {target}",
        "obs_collection": "XMM-Newton", "obs_creation_date": "2026-11-20T13:06:29", "obs_creator_name": "uws-server",
        "access_format": "application/fits", "s_ra": ra, "s_dec": dec, "s_fov": 0.5, "s_resolution": 6.6, "s_xel1": 1,
        "s_xel2": 1, "s_region": f"Circle ICRS {ra:.6f} {dec:.6f} 0.25", "t_xel": 1, "t_min": begin,
        "t_max": begin + seconds / 86400, "t_exptime": seconds, "t_resolution": seconds, "em_xel": 4096,
        "em_ucd": "em.energy", "em_unit": "eV", "em_calib_status": "calibrated", "em_min": 1.0332016535833333e-10,
        "em_max": 6.1992099215e-09, "em_res_power": 12.634728566617953, "o_ucd": "phot.count", "o_unit": "count",
        "pol_xel": 0, "facility_name": "XMM-Newton", "instrument_name": camera, "proposal_id": "069376",
        "energy_min": 200.0, "energy_max": 12000.0, "analysis_mode": "spectrum 1.1",
    }  # fmt: skip
    return {**values_of(row, 2_000_000), "uws_owner": "*", "uws_result": None, "uws_archive": None,
            "uws_place": f"archive/file/{number}.fits", "uws_did": f"archive/{number}.fits",
            "obs_publisher_did": f"ivo://example/uws?{number}"}  # fmt: skip


def fill(engine: sa.Engine, count: int, seed: int = 1) -> None:
    """Put so many rows into the table."""
    with engine.begin() as connection:
        for rows in made_up(count, seed):
            connection.execute(tap_obscore.insert(), rows)
