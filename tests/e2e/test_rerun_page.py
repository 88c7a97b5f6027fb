"""Reruns in a real browser: a file's chain with its locks, a changed parameter, two jobs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests

from browsing import NewPage


@pytest.fixture
def product(spectrum_address: str, tmp_path: Path) -> Path:
    """The spectrum of a job, as somebody has it on disk."""
    server, _, job = spectrum_address.partition("/jobs/")
    path = tmp_path / "spectrum.fits"
    path.write_bytes(requests.get(f"{server}/rest/spectrum/{job}/results/source_spectrum", timeout=300).content)
    return path


def show(page: Any, server: str, product: Path) -> None:
    page.goto(f"{server}/rerun")
    page.set_input_files("#file", product)
    page.click("text=Show how it was made")
    page.wait_for_selector("#step-0")


def overflow(page: Any) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def test_a_file_is_run_again_with_one_parameter_changed(
    new_page: NewPage, spectrum_address: str, product: Path, vendored: None
) -> None:
    page = new_page()
    show(page, spectrum_address.partition("/jobs/")[0], product)
    page.wait_for_selector("text=the same by SHA-256")
    energy = page.locator("[name='0.energy']")
    energy.fill("1 5")
    assert page.locator("tr.changed .was").inner_text() == "was 0.2 12"
    energy.fill("0.2 12")
    assert page.locator("tr.changed").count() == 0
    energy.fill("1 5")
    page.click("text=Run again >> nth=-1")
    page.wait_for_url("**/jobs/*")
    page.wait_for_selector("#job[data-ended='yes'], #head .phase.completed", timeout=300_000)
    page.click("text=both side by side")
    page.wait_for_selector(".plot .pane")
    assert "One parameter differs: energy." in page.inner_text("main")
    assert page.locator("tr.differs th").first.inner_text().startswith("energy")


def test_what_is_locked_has_no_control(new_page: NewPage, spectrum_address: str, product: Path) -> None:
    page = new_page()
    show(page, spectrum_address.partition("/jobs/")[0], product)
    assert page.locator("[name='0.eventlist']").count() == 0
    assert page.locator("tr.input .mark.locked").count() >= 1


def test_without_scripts_a_mistake_keeps_what_was_typed(
    new_page: NewPage, spectrum_address: str, product: Path
) -> None:
    page = new_page(java_script_enabled=False)
    page.expected.append("400")
    show(page, spectrum_address.partition("/jobs/")[0], product)
    page.fill("[name='0.energy']", "5 1")
    page.click("button.primary")
    page.wait_for_selector("#summary")
    assert page.input_value("[name='0.energy']") == "5 1"
    assert "lower energy" in page.inner_text("tr:has([name='0.energy'])")
    assert page.get_attribute("[name='0.energy']", "aria-invalid") == "true"
    page.click("#summary a >> text=energy")
    assert page.url.rpartition("#")[2] == page.get_attribute("[name='0.energy']", "id")


def test_nothing_leaves_a_narrow_window(new_page: NewPage, spectrum_address: str, product: Path) -> None:
    page = new_page(viewport={"width": 390, "height": 844})
    show(page, spectrum_address.partition("/jobs/")[0], product)
    assert overflow(page) <= 0
    page.goto(f"{spectrum_address}/compare/{spectrum_address.rpartition('/')[2]}")
    page.wait_for_selector("#results-title")
    assert overflow(page) <= 0
