"""Parts of the editor of definitions in a browser: the colours of the script, further files, ticks of a new row."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from browsing import AUDIT, House, sign_in
from checkout import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def token_kinds() -> list[str]:
    """The classes of every kind of token: those that CodeMirror's style sheet knows, and those of its modes."""
    folder = ROOT / "templates" / "static" / "vendor" / "codemirror"
    known = set(re.findall(r"\.cm-([a-z0-9-]+)", (folder / "codemirror.css").read_text(encoding="utf-8")))
    modes = "".join((folder / name).read_text(encoding="utf-8") for name in ("python.js", "shell.js"))
    named = set(re.findall(r"""return ['"]([a-z]+(?:-[0-9])?)['"]|(?:CLASS|style) \+?= ['"] ?([a-z]+)['"]""", modes))
    emitted = {kind for pair in named for kind in pair if kind}
    assert {"attribute", "keyword", "string-2", "error", "meta"} <= emitted, emitted
    kinds = (known | emitted) - {"s-default", "tab", "tab-wrap-hack", "animate-fat-cursor", "fat-cursor"}
    brackets = ["CodeMirror-matchingbracket", "CodeMirror-nonmatchingbracket"]
    return [f"cm-{kind}" for kind in sorted(kinds)] + brackets


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_every_kind_of_token_can_be_read_on_every_ground(
    new_page: Any, house: House, vendored: None, colours: str
) -> None:
    page = sign_in(new_page, house.served, house.accounts["ann"], color_scheme=colours)
    page.goto(f"{house.served.url}/definitions/_new")
    expect(page.locator("#sheet .CodeMirror")).to_be_visible()
    page.evaluate(
        """kinds => {
            const code = document.querySelector("#sheet .CodeMirror-code");
            const wash = getComputedStyle(document.documentElement).getPropertyValue("--accent-wash");
            for (const ground of ["", "mistaken", "selected", "CodeMirror-activeline-background"]) {
                const line = document.createElement("div"), text = document.createElement("pre");
                line.className = ground;
                if (ground === "selected") line.style.background = wash;
                for (const kind of kinds) {
                    const token = document.createElement("span");
                    token.className = kind;
                    token.textContent = "token ";
                    text.append(token);
                }
                text.className = "CodeMirror-line";
                line.append(text);
                code.append(line);
            }
        }""",
        token_kinds(),
    )
    assert page.evaluate(AUDIT) == []


def test_further_files_are_added_and_removed_in_place(new_page: Any, house: House, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("1,2\r\n", newline="")
    (tmp_path / "image.bin").write_bytes(b"\xff\0")
    page = sign_in(new_page, house.served, house.accounts["ann"])
    page.goto(f"{house.served.url}/definitions/_new")
    page.get_by_role("button", name="Save and add").click()
    expect(page.locator("#summary")).to_contain_text("thing")  # without a name nothing is saved
    page.expected += ["400 (Bad Request)"]
    page.locator("#at-name").fill("furnished")
    page.get_by_label("Files to add").set_input_files([tmp_path / "table.csv", tmp_path / "image.bin"])
    page.get_by_label("into the folder").fill("data")
    page.evaluate("window.neverReloaded = true")
    page.get_by_role("button", name="Save and add").click()
    expect(page.locator(".furtherfiles a")).to_have_text(["data/image.bin", "data/table.csv"])
    assert page.evaluate("window.neverReloaded === true")
    with page.expect_download() as got:
        page.get_by_role("link", name="data/table.csv").click()
    assert Path(got.value.path()).read_bytes() == b"1,2\r\n"
    page.get_by_role("button", name="Remove data/image.bin").click()
    expect(page.locator(".furtherfiles a")).to_have_text(["data/table.csv"])
    assert page.evaluate(AUDIT) == []


def test_a_new_parameter_is_ticked_as_required_and_for_reruns(new_page: Any, house: House) -> None:
    page = sign_in(new_page, house.served, house.accounts["ann"])
    page.goto(f"{house.served.url}/definitions/_new")
    for button in ("Add a parameter", "Add an input"):
        page.get_by_role("button", name=button, exact=True).click()
        row = page.locator("#sheet li.item").last
        expect(row.get_by_label("Required", exact=True)).to_be_checked()
        expect(row.get_by_label("May be changed in a rerun", exact=True)).to_be_checked()
