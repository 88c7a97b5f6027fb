"""Every product: sound for fitsverify; its tables are read by stilts (TOPCAT's library) as by astropy."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from reduction.simulate import simulate, small
from scriptjobs import ROOT, prepare, run

CIRCLE = 'icrs; circle(148.974, 69.6512, 40")'
RING = 'icrs; annulus(148.974, 69.6512, 60", 120")'
BOTH = {"source_region": CIRCLE, "background_region": RING}
JOBS: dict[str, dict[str, object]] = {
    "spectrum": BOTH,
    "events": {"region": CIRCLE},
    "flare_filter": {"method": "sigma"},
    "image": {"bands": ["0.5 2.0", "2.0 8.0"]},
    "lightcurve": {**BOTH, "soft_band": "0.5 2", "hard_band": "2 10", "periods": "50 1000", "period": 100.0},
    "response": {"source_region": CIRCLE},
    "upper_limit": BOTH,
}
"""Jobs on an event list of pn; `barycentre` has a real list."""


@pytest.fixture(scope="module")
def pn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("stilts") is None:
        pytest.skip("no stilts: install the Debian package")
    (path,) = simulate(small(), tmp_path_factory.mktemp("simulated"), cameras=("EPN",))
    return path


@pytest.mark.parametrize("job", [*JOBS, "barycentre"])
def test_every_table_of_a_product_holds_what_astropy_reads(
    pn: Path, tmp_path: Path, job: str, request: pytest.FixtureRequest
) -> None:
    values = {"eventlist": pn, **JOBS.get(job, {})}
    if job == "barycentre":
        real = request.getfixturevalue("shared") / "real/nustar_b1937"
        values = {"eventlist": real / "dummy_evt.evt", "orbit": real / "dummy_orb.fits.gz", "position": "294.91 21.58"}
    folder = prepare(tmp_path / "job", {"definition": job}, **values)
    done = run(folder, ROOT / "job_definitions" / job / "run.py")
    assert done.returncode == 0, done.stderr
    paths = [path for path in sorted((folder / "results").iterdir()) if path.suffix in (".fits", ".rmf", ".arf")]
    if shutil.which("fitsverify"):
        checked = subprocess.run(["fitsverify", "-q", *map(str, paths)], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout
    copied = in_stilts(paths, tmp_path / "tables.fits")
    for path in paths:
        with fits.open(path) as hdus:
            tables = [hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU | fits.TableHDU)]
            assert tables, f"{path.name}: no table, not even its tags"
            for table in tables:
                other = next(copied)
                assert other.columns.names == table.columns.names, f"{path.name}: {table.name}"
                assert len(other.data) == len(table.data), f"{path.name}: {table.name}"
                for name in table.columns.names:
                    if table.data[name].dtype.kind in "iuf":
                        assert np.array_equal(other.data[name], table.data[name], equal_nan=True), (
                            f"{path.name}: {name}"
                        )
    assert next(copied, None) is None


def in_stilts(paths: list[Path], copy: Path) -> Iterator[fits.BinTableHDU]:
    """All tables of some files, read by stilts and written again into one."""
    listed = copy.with_suffix(".txt")
    listed.write_text("".join(f"{path}\n" for path in paths))
    command = ["stilts", "tmulti", "multi=true", f"in=@{listed}", "ifmt=fits", f"out={copy}", "ofmt=fits-var"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr
    with fits.open(copy) as hdus:
        yield from hdus[1:]
