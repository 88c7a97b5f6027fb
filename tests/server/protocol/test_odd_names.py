"""Results whose files have names that an address cannot hold as they are: every address given leads to the file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import requests
from lxml import etree

from provenance import votags
from serving import running_server
from uws_server import client
from uwsjobs import define

NAMES = (
    "a b.fits",
    "core#2.fits",
    "50%25.fits",
    "%2e%2e.fits",
    "is it?.fits",
    "d'or.fits",
    "\u00e9t\u00e9.fits",
    "x;y&z=1.fits",
)
MAKE = f"""
from astropy.io import fits
for number, name in enumerate({NAMES!a}):
    table = fits.BinTableHDU.from_columns([fits.Column("TIME", "D", array=[number])], name="EVENTS")
    table.header.update(TELESCOP="NuSTAR", INSTRUME="FPMA", TSTART=0, TSTOP=9)
    table.writeto("results/" + name)
"""


def test_every_address_of_a_result_leads_to_its_file(tmp_path: Path) -> None:
    define(tmp_path / "definitions", "odd", MAKE, "python", results=[{"name": "made", "file": "*.fits"}])
    with running_server(tmp_path / "data", definitions=tmp_path / "definitions") as served:
        job = client.create(f"{served.url}/rest/odd", {})
        state = client.follow(job, lambda _: None)
        assert state.phase == "COMPLETED", state.error
        job_id = job.rpartition("/")[2]
        folder = tmp_path / "data" / "jobs" / job_id[:2] / job_id / "results"
        content = {hashlib.sha256((folder / name).read_bytes()).hexdigest(): name for name in NAMES}

        def asked(place: str, **query: str) -> requests.Response:
            answer = requests.get(f"{served.url}/{place}", params=query, timeout=300)
            assert answer.status_code == 200, answer.text
            return answer

        rows = json.loads(asked("obscore", RESPONSEFORMAT="json").text)
        names = [column["name"] for column in rows["metadata"]]
        table = [dict(zip(names, row, strict=True))["access_url"] for row in rows["data"]]
        links = etree.fromstring(asked("datalink", ID=job_id).content)
        previews = asked(f"reprocessing/{job_id}/preview").json()["outputs"]
        graph = asked("provsap", ID=job_id, DIRECTION="FORWARD").json()["entity"].values()
        given = {
            "obscore": table,
            "datalink": [text for text in links.itertext() if "/store/" in text and text.endswith("fits")],
            "reprocessing": [one["url"] for one in previews if one["name"] != "log"],
            "provsap": [str(one["voprov:location"]) for one in graph if "fits" in str(one.get("voprov:location"))],
            "tags": [str(tags.row["access_url"]) for name in NAMES if (tags := votags.read(folder / name))],
        }
        for place, addresses in given.items():
            assert len(addresses) == len(NAMES), place
            found = [requests.get(address, timeout=300) for address in addresses]
            assert {content.get(hashlib.sha256(one.content).hexdigest()) for one in found} == set(NAMES), place
            for address, one in zip(addresses, found, strict=True):
                assert one.request.url == address, f"{place}: an address, and not what a client makes of it"
        for address in given["tags"]:
            assert "result_" in asked("provsap", ID=address).text, "an address is an identifier, too"
