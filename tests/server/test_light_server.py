"""A server at rest holds none of the libraries that only products and regions need."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from serving import NEW, Served, running_server

HEAVY = ("/numpy/", "/astropy/", "/regions/", "/mocpy/", "/erfa/")
PAGES = ("/availability", "/capabilities", "/jdl", "/rest/dummy", "/rest/spectrum", "/jobs", "/new", "/new/spectrum",
         "/archive", "/archive?q=pn")  # fmt: skip


def mapped(served: Served, names: tuple[str, ...]) -> set[str]:
    """Which of these folders a process has compiled modules of: each is mapped for as long as it is loaded."""
    maps = Path(f"/proc/{served.process.pid}/maps").read_text(encoding="utf-8")
    return {name for name in names if name in maps}


@pytest.mark.parametrize("start", ["with a new data folder", "with the folder of an earlier start"])
def test_a_server_at_rest_is_light(start: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    if "earlier" in start:
        with running_server(data, loaded=NEW):
            pass
    with running_server(data, loaded=NEW) as served:
        for page in PAGES:
            assert requests.get(f"{served.url}{page}", timeout=300).status_code == 200, page
        assert not mapped(served, HEAVY)
        assert mapped(served, ("/lxml/",)), "a module that is loaded is seen"
        region = {"source_region": "icrs; circle(148.97)", "PHASE": "RUN"}
        refused = requests.post(f"{served.url}/rest/spectrum", data=region, timeout=300)
        assert "circle" in refused.text and refused.status_code == 400
        assert mapped(served, ("/astropy/",)), "what a request needs is loaded then"


def test_a_region_that_is_none_is_told_with_the_start(tmp_path: Path) -> None:
    """What is remembered of a definition's values is said at each start in the same words."""
    folder = tmp_path / "definitions"
    (folder / "echo").mkdir(parents=True)
    (folder / "echo" / "run.sh").write_text("true\n", encoding="utf-8")
    (folder / "echo" / "job.json").write_text(
        '{"name": "echo", "title": "t", "version": "1", "entry": {"type": "shell", "script": "run.sh"},\n'
        '"parameters": [{"name": "where", "type": "region", "default": "icrs; circle(148.97)"}], "results": []}',
        encoding="utf-8",
    )
    said = []
    for _ in range(2):
        with running_server(tmp_path / "data", "--definitions", str(folder), loaded=NEW) as served:
            assert not mapped(served, HEAVY)
            lines = served.log.read_text(encoding="utf-8").splitlines()
        said.append([line.partition("ERROR")[2] for line in lines if "left out" in line][-1])
    assert said[0] == said[1]
    assert "echo/job.json line 2: parameters[0].default: " in said[0]
