"""The VO-TAGS of a product are the same whoever wrote the script: the same FITS file from Python and from the shell."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import requests
from astropy.io import fits

from provenance import obscore, votags
from provenance.obscore import NOT_NULL, Value
from serving import Served, running_server
from uwsjobs import UWS, change, define, document, reached

REGION = "Circle ICRS 148.97 69.68 0.01"
PYTHON = f"""
import shutil
from reduction import task

def main(job):
    known = {{"s_region": {REGION!r}, "s_fov": 0.02}}
    shutil.copyfile(job.path("table"), job.output("product.fits", "A product.", **known))
    shutil.copyfile(job.folder / job.arguments["table"].value, job.output("packed.fits.gz", "The same, packed."))

task.run(main, stages=0)
"""
SHELL = f"""
cat "$table" > product.fits
uws-result product.fits --description "A product." --column "s_region={REGION}" --column s_fov=0.02
cp "$table" packed.fits.gz
uws-result packed.fits.gz --description "The same, packed."
"""
TIMES = ("obs_creation_date", "obs_release_date")


@dataclass(frozen=True)
class MadeProduct:
    """A product of a job: its row, with what names the job replaced by words, and when the job ran."""

    row: Mapping[str, Value]
    began: datetime
    ended: datetime


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that publishes what it makes, with a definition in each language: both give their input back."""
    folder = tmp_path_factory.mktemp("alike")
    table = {"name": "table", "type": "file"}
    for kind, script in (("python", PYTHON), ("shell", SHELL)):
        define(folder / "definitions", f"by_{kind}", script, kind, version="2", parameters=[table])
    settings = {"publisher": "ivo://example/xmm", "data_rights": "public"}
    with running_server(folder / "data", definitions=folder / "definitions", **settings) as server:
        yield server


def complete_spectrum(path: Path) -> Path:
    """A spectrum whose headers say all that a header can, and an older date than that of the product."""
    header = fits.Header({
        "TELESCOP": "XMM", "INSTRUME": "EPN", "OBS_ID": "0112521001", "OBJECT": "M82", "RA_OBJ": 148.97,
        "DEC_OBJ": 69.68, "RADESYS": "ICRS", "HDUCLASS": "OGIP", "HDUCLAS1": "SPECTRUM", "HDUCLAS2": "TOTAL",
        "HDUCLAS3": "COUNT", "DETCHANS": 9, "EXPOSURE": 100.0, "MJDREF": 50814.0, "TIMESYS": "TT", "TIMEUNIT": "s",
        "TSTART": 1e8, "TSTOP": 1.001e8, "DSTYP1": "POS(X,Y)", "DSVAL1": "TABLE", "DATE": "2001-02-03T04:05:06",
    })  # fmt: skip
    columns = [fits.Column("CHANNEL", "J", array=np.arange(9)), fits.Column("COUNTS", "J", array=np.arange(9))]
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, header)]).writeto(path)
    return path


def bare_image(path: Path) -> Path:
    """An image whose header says nothing of a telescope or an observation."""
    fits.PrimaryHDU(np.zeros((3, 4), dtype=np.int16)).writeto(path)
    return path


def product_of(server: str, definition: str, path: Path, name: str = "product.fits") -> MadeProduct:
    """Run a definition on a file, and read the row of one of its products as it is served."""
    with path.open("rb") as stream:
        sent = requests.post(f"{server}/rest/{definition}", files={"table": stream}, allow_redirects=False, timeout=300)
    address = sent.headers["Location"]
    change(f"{address}/phase", PHASE="RUN")
    assert reached(address, "COMPLETED", "ERROR") == "COMPLETED", requests.get(f"{address}/stderr", timeout=300).text
    job = document(address)
    began, ended = (datetime.fromisoformat(str(job.findtext(f"{UWS}{tag}"))) for tag in ("startTime", "endTime"))
    content = requests.get(f"{address}/results/{name}", timeout=300).content
    saved = path.with_name(f"{definition}-{name}")
    saved.write_bytes(content)
    tags = votags.read(saved)
    assert tags is not None
    words = {address.rpartition("/")[2]: "JOB", definition: "DEFINITION"}
    row = {column: _replaced(value, words) for column, value in tags.row.items()}
    return MadeProduct(row, began, ended)


def _replaced(value: Value, words: Mapping[str, str]) -> Value:
    if isinstance(value, str):
        for word, instead in words.items():
            value = value.replace(word, instead)
    return value


@pytest.mark.parametrize("make", [complete_spectrum, bare_image])
@pytest.mark.parametrize("name", ["product.fits", "packed.fits.gz"])
def test_the_same_file_has_the_same_row(
    served: Served, tmp_path: Path, make: Callable[[Path], Path], name: str
) -> None:
    path = make(tmp_path / "input.fits")
    if name.endswith(".gz"):
        packed = path.with_name("input.fits.gz")
        packed.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
        path = packed
    python, shell = (product_of(served.url, f"by_{kind}", path, name) for kind in ("python", "shell"))
    for column in {*python.row, *shell.row} - set(TIMES):
        assert (column, python.row.get(column)) == (column, shell.row.get(column))
    for product in (python, shell):
        for column in TIMES:  # a second is the unit of both
            when = datetime.fromisoformat(str(product.row[column])).replace(tzinfo=UTC)
            assert product.began - timedelta(seconds=1) <= when <= product.ended, column
        assert product.row["publisher_id"] == "ivo://example/xmm"
        assert product.row["analysis_mode"] == "DEFINITION 2"
        assert product.row["obs_publisher_did"] == product.row["access_url"]
        assert str(product.row["access_url"]).endswith(f"/rest/DEFINITION/JOB/results/{name}")
        assert obscore.problems({**product.row, "access_url": "x"}) == ()


def test_a_product_that_says_nothing_of_itself_belongs_to_its_job(served: Served, tmp_path: Path) -> None:
    path = bare_image(tmp_path / "input.fits")
    for kind in ("python", "shell"):
        row = product_of(served.url, f"by_{kind}", path).row
        assert {name: row[name] for name in ("calib_level", "obs_collection", "obs_id")} == {
            "calib_level": 2, "obs_collection": "uws-server", "obs_id": "JOB"}  # fmt: skip


def test_no_mandatory_column_is_missing(served: Served, tmp_path: Path, shared: Path) -> None:
    """Held against the table of the standard: polarization states are null where none is measured (ObsCore 1.1)."""
    columns = json.loads((shared / "facts/obscore_votags.json").read_text(encoding="utf-8"))
    mandatory = {each["column"] for each in columns if each["mandatory"]}
    assert len(mandatory) == 30
    complete, bare = complete_spectrum(tmp_path / "complete.fits"), bare_image(tmp_path / "bare.fits")
    for kind in ("python", "shell"):
        row = product_of(served.url, f"by_{kind}", complete).row
        assert mandatory - row.keys() == {"pol_states"}
        assert row["pol_xel"] == 0
        assert not {*NOT_NULL} - product_of(served.url, f"by_{kind}", bare).row.keys()
