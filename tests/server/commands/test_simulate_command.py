"""The command `uws-server simulate`: event lists, their responses, and photons drawn through given ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from uws_server.cli import main


def test_lists_and_responses_are_written_and_can_be_drawn_through(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert main(["simulate", str(first), "--exposure", "300", "--responses"]) == 0
    printed = [Path(line).name for line in capsys.readouterr().out.split()]
    assert len(printed) == 3 + 3 * 3
    assert sorted(printed) == sorted(path.name for path in first.iterdir() if path.suffix != ".json")
    pn = first / "P0999990101PNS003PIEVLI0000"
    through = ["EPN", str(pn.with_suffix(".RMF")), str(pn.with_name(f"{pn.name[:-4]}0001.ARF"))]
    arguments = ["--exposure", "300", "--pn-mode", "PrimeFullWindowExtended", "--through", *through]
    assert main(["simulate", str(second), *arguments]) == 0
    truth = json.loads((second / "0999990101_truth.json").read_text())
    assert {key: value["response"] for key, value in truth["cameras"].items()} == {
        "EPN": "Given", "EMOS1": "BuiltIn", "EMOS2": "BuiltIn"
    }  # fmt: skip
    assert fits.getval(second / f"{pn.name}.FITS", "SUBMODE", "EVENTS") == "PrimeFullWindowExtended"


def test_a_file_that_is_no_response_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = tmp_path / "wrong.rmf"
    wrong.write_text("no response")
    assert main(["simulate", str(tmp_path / "lists"), "--through", "EPN", str(wrong), str(wrong)]) != 0
    assert "wrong.rmf" in capsys.readouterr().err
    assert not (tmp_path / "lists").exists()


def test_an_observation_is_taken_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "sky.json"
    source = {"name": "A", "offset_arcmin": [2, 0], "flux": 1e-11, "spectrum": {"powerlaw": {"index": 2}}}
    observation = {"obs_id": "0999990777", "ra": 10.0, "dec": 20.0, "exposure_s": 200, "sources": [source]}
    file.write_text(json.dumps({"name": "a recipe", "observation": observation}))
    assert main(["simulate", str(tmp_path / "lists"), "--observation", str(file), "--seed", "5"]) == 0
    truth = json.loads((tmp_path / "lists" / "0999990777_truth.json").read_text())["observation"]
    assert truth["seed"] == 5
    assert truth["sources"][0]["ra"] == pytest.approx(10 + 2 / 60 / np.cos(np.radians(20)), abs=1e-4)
    capsys.readouterr()
    for text, words in (
        (json.dumps({**observation, "exposure": 3}), "sky.json: observation.exposure: there is no such field"),
        ("{,", "sky.json: line 1, column 2"),
        ("[]", "sky.json: observation: [] came"),
    ):
        file.write_text(text)
        assert main(["simulate", str(tmp_path / "none"), "--observation", str(file)]) == 2
        assert words in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
