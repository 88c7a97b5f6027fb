"""Names of files of the XMM-Newton pipeline, as its archives and the slides of the project write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from uws_server.archive import index
from uws_server.archive.description import describe
from uws_server.archive.index import Index
from uws_server.archive.pps_names import PpsName, parse


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("P0084200801M1S001MIEVL0000.FIT.gz", ("0084200801", "EMOS1", "S001", "MIEVL", "", "")),
        ("P0084200801M1S001MIEVLI0000.FTZ", ("0084200801", "EMOS1", "S001", "MIEVLI", "", "")),
        ("P0123456701PNU014TIEVLI0000", ("0123456701", "EPN", "U014", "TIEVLI", "", "")),
        ("P0004210201EPX000OIMAGE8000.FTZ", ("0004210201", "EPIC", "", "OIMAGE", "8", "")),
        ("p0105460101m2s002srspec001a.ftz", ("0105460101", "EMOS2", "S002", "SRSPEC", "", "01A")),
        ("P0105460101PNS003IMAGE_3000.FTZ", ("0105460101", "EPN", "S003", "IMAGE_", "3", "")),
        ("P0105460101R1S004SRSPEC1001.FTZ", ("0105460101", "RGS1", "S004", "SRSPEC", "1", "001")),
        ("P0105460101OBX000CALIND0000.FTZ", ("0105460101", "", "", "CALIND", "", "")),
        ("P0105460101OMS005SIMAGEL000.FTZ", ("0105460101", "OM", "S005", "SIMAGE", "L", "")),
    ],
)
def test_a_name_is_taken_to_pieces(name: str, expected: tuple[str, ...]) -> None:
    assert parse(name) == PpsName(*expected)


@pytest.mark.parametrize(
    "name",
    ["P0084200801M1S001MIEVLI0000X.FTZ", "P008420080M1S001MIEVLI0000.FTZ", "P0084200801XXS001MIEVLI0000.FTZ",
     "P0084200801M1Q001MIEVLI0000.FTZ", "P0084200801M1S001MIEVLI000G.FTZ", "P0084200801M1S001MIEVX0000.FTZ", "pn.fits",
     "", "P٠٠84200801M1S001MIEVLI0000.FTZ"],
)  # fmt: skip
def test_another_name_is_none_of_the_pipeline(name: str) -> None:
    assert parse(name) is None


@pytest.mark.parametrize(
    ("type_", "words", "product"),
    [("PIEVLI", "event list", "event"), ("EXPMAP", "exposure map", "image"), ("SRSPEC", "source spectrum", "spectrum"),
     ("SRCTSR", "source light curve", "timeseries"), ("SRCARF", "ancillary response", ""),
     ("OBSMLI", "summary source list", "measurements"), ("ZZTOPP", "ZZTOPP", "")],
)  # fmt: skip
def test_what_each_type_of_product_is(type_: str, words: str, product: str) -> None:
    name = parse(f"P0105460101PNS003{type_}8000.FTZ")
    assert name is not None and (name.words, name.dataproduct_type) == (words, product)


def test_the_event_lists_of_an_observation_are_those_of_its_cameras(tmp_path: Path) -> None:
    names = ("P0084200801M1S001MIEVL0000.FIT.gz", "P0084200801M2S002MIEVLI0000.FTZ", "P0084200801PNS003TIEVLI0000.FTZ",
             "P0084200801PNS003IMAGE_8000.FTZ", "P0084200801R1S004EVENLI0000.FTZ")  # fmt: skip
    for name in names:
        (tmp_path / name).write_bytes(b"")
    assert index.read(tmp_path, Index()).observations == {"0084200801": sorted(names[:3])}


def test_the_name_tells_what_the_header_does_not(tmp_path: Path) -> None:
    path = tmp_path / "P0105460101PNS003EXPMAP8000.FTZ"
    fits.PrimaryHDU(np.zeros((4, 4), dtype=np.float32)).writeto(tmp_path / "image.fits")
    (tmp_path / "image.fits").rename(path)
    found = describe(path)
    assert (found.obs_id, found.instrument, found.exposure) == ("0105460101", "EPN", "S003")
    path.write_bytes(b"no FITS at all")
    broken = describe(path)
    assert (broken.obs_id, broken.kind) == ("0105460101", "product") and "FITS" in broken.note
    with fits.open(tmp_path / "other.fits", mode="append") as hdus:
        hdus.append(fits.PrimaryHDU(np.zeros((4, 4), dtype=np.float32), fits.Header([("OBS_ID", "0999999999")])))
    (tmp_path / "other.fits").rename(path)
    assert describe(path).obs_id == "0999999999"
