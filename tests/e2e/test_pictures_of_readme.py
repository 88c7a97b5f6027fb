"""README's pictures are those that the script makes of the demo, as it is now: of the same size, and alike."""

from __future__ import annotations

import base64
import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import requests

from checkout import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.slow]

LARGEST = 60_000
CELLS = 40
"""Cells along each side of the pictures when they are compared: what one letter changes is not seen."""

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script, as a module."""
    spec = importlib.util.spec_from_file_location("pictures_of_demo", ROOT / "scripts" / "pictures_of_demo.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_readme_opens_with_a_picture_of_each_product(script: ModuleType) -> None:
    names = re.findall(r"!\[[^\]]{10,}\]\(docs/images/([\w-]+\.png)\)", README)
    assert set(names) == {*script.PRODUCTS, script.PAGE, script.SKY} == {path.name for path in script.FOLDER.iterdir()}
    first = README[: README.index("## Try it")]
    assert all(f"docs/images/{name}" in first for name in script.PRODUCTS)
    assert all((script.FOLDER / name).stat().st_size < LARGEST for name in script.PRODUCTS)


def test_they_are_what_the_demo_makes(script: ModuleType, browser: Any, tmp_path: Path) -> None:
    with script.demo_pages() as pages:
        script.take_products(browser, pages, tmp_path)
        script.take_page(browser, pages["spectrum"], tmp_path)
        script.take_sky(browser, pages["sky"], tmp_path)
        address = pages["spectrum"].partition("/jobs/")[0]
        assert requests.get(f"{address}/availability", timeout=300).ok
    with pytest.raises(requests.ConnectionError):  # the demo that stays up takes its server along, and ends well
        requests.get(f"{address}/availability", timeout=300)
    page = browser.new_page()
    for name in script.PRODUCTS:
        kept, made = (shrunk(page, folder / name) for folder in (script.FOLDER, tmp_path))
        assert kept[0] == made[0], f"{name} is of another size: run scripts/pictures_of_demo.py"
        assert np.std(kept[1]) > 5, f"{name} is of one colour"
        apart = float(np.mean(np.abs(kept[1] - made[1])))
        assert apart < 3, f"{name} differs by {apart:.1f} of 255: run scripts/pictures_of_demo.py"
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in (script.PAGE, script.SKY))


def shrunk(page: Any, path: Path) -> tuple[list[int], np.ndarray]:
    """The size of a picture, and the mean colours of its cells."""
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    found = page.evaluate(
        """async ([data, cells]) => {
          const picture = new Image();
          picture.src = `data:image/png;base64,${data}`;
          await picture.decode();
          const canvas = document.createElement("canvas"), context = canvas.getContext("2d");
          [canvas.width, canvas.height] = [cells, cells];
          context.imageSmoothingQuality = "high";
          context.drawImage(picture, 0, 0, cells, cells);
          return [[picture.width, picture.height], [...context.getImageData(0, 0, cells, cells).data]];
        }""",
        [data, CELLS],
    )
    return found[0], np.array(found[1], dtype=float)
