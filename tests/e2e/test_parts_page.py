"""The parts of a job in a real browser: they follow the job, by keyboard and for a screen reader, wide and narrow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from browsing import AUDIT, NewPage
from serving import Served, running_server
from uwsjobs import define

SPREAD = {"name": "word", "type": "string", "max_values": 1000, "required": True, "spread": True}
GATE = {"name": "gate", "type": "string"}
WORK = """
echo "[STAGE 1/2] Looking at $word"
if [ "$word" = bad ]; then echo "[ERROR] word: bad came" >&2; exit 1; fi
while [ ! -e "$gate" ]; do sleep 0.1; done
echo "$word" > out.txt
"""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    out = {"name": "out", "file": "out.txt", "mime": "text/plain"}
    define(tmp_path / "definitions", "words", WORK, parameters=[SPREAD, GATE], results=[out], title="Many words")
    with running_server(tmp_path / "data", definitions=tmp_path / "definitions", max_running=4) as server:
        yield server


def test_the_table_of_the_parts_follows_the_job(new_page: NewPage, served: Served, tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    gate = tmp_path / "gate"
    form = {"word": ["one", "bad", "three"], "gate": str(gate)}
    made = requests.post(f"{served.url}/rest/words", data=form, allow_redirects=False, timeout=300)
    page = new_page(viewport={"width": 1200, "height": 900})
    page.goto(f"{served.url}/jobs/{made.headers['Location'].rpartition('/')[2]}")
    page.get_by_role("button", name="Run", exact=True).click()
    table = page.get_by_role("table", name="Parts")
    rows = table.get_by_role("row")
    playwright.expect(rows.nth(1)).to_contain_text("word: bad came")
    playwright.expect(rows.nth(2)).to_contain_text("Looking at one")
    page.get_by_role("link", name="Log of part 2").focus()
    gate.touch()
    playwright.expect(page.get_by_role("button", name="Run the failed part again")).to_be_visible()
    playwright.expect(rows.nth(3)).to_contain_text("Completed")
    assert page.evaluate("document.activeElement.id") == "part-log-2"  # the focus stays while rows are replaced
    assert page.evaluate(AUDIT) == []
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert page.evaluate(AUDIT) == []
    page.get_by_role("button", name="Run the failed part again").focus()
    page.keyboard.press("Enter")
    playwright.expect(page.get_by_text("word: bad came").first).to_be_visible()
    playwright.expect(page.get_by_role("table", name="Parts")).to_have_count(0)  # of one value there are no parts
