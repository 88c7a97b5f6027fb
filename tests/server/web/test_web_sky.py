"""The sky page without JavaScript, what its scripts ask, and the sky without a picture; oracles: astropy, mocpy."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from mocpy import MOC

from pagereader import AS_BROWSER, visit
from reduction import regions
from reduction.regions.overlap import shared
from reduction.simulate import simulate, small
from serving import Served, running_server
from uws_server import cli

SOURCE = 'icrs; circle(148.9745, 69.651, 60")'
RING = 'icrs; annulus(148.9745, 69.651, 60", 120")'
SURVEYS = "No real one http://127.0.0.1:9/first,Second of them https://x.org/hips/second/"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("sky")
    simulate(small(), folder / "archive", cameras=("EPN",))
    where = ["--archive", str(folder / "archive"), "--data", str(folder / "data")]
    with running_server(folder / "data", "--archive", str(folder / "archive"), surveys=SURVEYS) as server:
        assert cli.main(["archive", "add", *where]) == 0
        yield server


def checked(served: Served, source: str = "", background: str = "") -> Any:
    asked = {"source": source, "background": background}
    answers = [requests.get(f"{served.url}/sky/check", asked, timeout=300),
               requests.post(f"{served.url}/sky/check", asked, timeout=300)]  # fmt: skip
    assert [answer.status_code for answer in answers] == [200, 200], answers[0].text
    assert answers[0].json() == answers[1].json()
    return answers[0].json()


def test_regions_that_are_fine_come_back_as_shapes_and_texts(served: Served) -> None:
    found = checked(served, SOURCE, RING)
    assert found["problems"] == []
    (shape,) = found["source"]["shapes"]
    assert (shape["shape"], shape["centre"]) == ("circle", [148.9745, 69.651])
    for text in (found["background"]["ds9"], found["background"]["stcs"]):
        ring = regions.parse(text).include[0]
        assert ring.outer_radius.to_value("arcsec") == pytest.approx(120)
    assert checked(served)["problems"] == []


@pytest.mark.parametrize(
    ("source", "background", "words"),
    [
        ("icrs; polygon(149, 69.6, 149.1, 69.7, 149.1, 69.6, 149, 69.7)", "", "must not cross or touch"),
        (SOURCE, 'icrs; annulus(148.9745, 69.651, 30", 120")', "The background overlaps the source: 75 %"),
        ('icrs; circle(10, 10, 60")', "", "Source region: no exposure of the archive sees any part of it."),
        (SOURCE, 'icrs; circle(10, 10, 60")', "Background region: no exposure of the archive sees any part of it."),
        ('icrs; circle(148.9745, 69.651, 0")', "", "the radius must be greater than 0"),
        ("icrs; circle(148.9745, 69.651, 100d)", "", "over more than a half of the sky"),
        ("icrs; polygon(0,0, 120,0, 240,0)", "", "within 80 degrees of its middle"),
        ("physical; circle(1000, 1000, 20)", "", "cannot be drawn"),
        ("a circle around M82", "", "Source region: "),
        ("circle(1,2,3\x00)", "", "Source region: "),
    ],
)
def test_what_is_wrong_is_said_by_program_and_page(served: Served, source: str, background: str, words: str) -> None:
    problems = checked(served, source, background)["problems"]
    assert len(problems) == 1 and words in problems[0], problems
    answer = requests.get(
        f"{served.url}/sky", {"source": source, "background": background}, headers=AS_BROWSER, timeout=300
    )
    assert answer.status_code == 200
    assert re.search(r'role="status"', answer.text)
    assert words in answer.text.replace("&#039;", "'").replace("&quot;", '"')


def test_a_file_of_ds9_with_both_regions_gives_both(served: Served) -> None:
    both = 'fk5\ncircle(148.9745, 69.651, 20")\nannulus(148.9745, 69.651, 60", 120") # background\n'
    found = checked(served, both)
    assert [one["shape"] for one in found["source"]["shapes"]] == ["circle"]
    assert [one["shape"] for one in found["background"]["shapes"]] == ["annulus"]
    assert checked(served, SOURCE, both)["background"]["shapes"][0]["shape"] == "annulus"


@pytest.mark.parametrize("ending", ["reg", "stcs"])
def test_a_region_is_downloaded_in_the_notations(served: Served, ending: str) -> None:
    asked = {"source": "Ellipse ICRS 148.9745 69.651 0.01 0.005 30", "background": RING}
    for ask in (requests.get, requests.post):
        key = "params" if ask is requests.get else "data"
        answer = ask(f"{served.url}/sky/source.{ending}", **{key: asked}, timeout=300)
        assert answer.headers["Content-Disposition"] == f'attachment; filename="source.{ending}"'
        assert shared(regions.parse(answer.text), regions.parse(asked["source"])).of_smaller > 0.999
        assert answer.text.startswith("# Region file format" if ending == "reg" else "Polygon ICRS")
    refused = requests.get(f"{served.url}/sky/source.{ending}", {"source": "nothing"}, timeout=300)
    assert refused.status_code == 400 and "source: " in refused.text


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("148.9745 69.651", (148.9745, 69.651)),
        ("09:55:53.88 +69:39:03.6", (148.9745, 69.651)),
        ("9h55m53.88s, +69d39m03.6s", (148.9745, 69.651)),
        ("360 -90", (0, -90)),
    ],
)
def test_a_position_is_a_place_whatever_its_notation(served: Served, text: str, place: tuple[float, float]) -> None:
    answer = requests.get(f"{served.url}/sky/place", {"q": text}, timeout=300)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["ra"], answer.json()["dec"]) == pytest.approx(place, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("M82", "this server looks no names up"),
        ("", "nothing came"),
        ("148 95", "not on the sky"),
        ("@", "not a position"),
    ],
)
def test_what_is_no_place_is_said(served: Served, text: str, words: str) -> None:
    answer = requests.get(f"{served.url}/sky/place", {"q": text}, timeout=300)
    assert answer.status_code == 400 and words in answer.json()["problem"]


def test_a_resolver_that_does_not_answer_is_told_kindly(tmp_path: Path) -> None:
    with running_server(tmp_path / "data", resolver="http://127.0.0.1:9/{name}") as server:
        answer = requests.get(f"{server.url}/sky/place", {"q": "M82"}, timeout=300)
        assert answer.status_code == 400 and "cannot be looked up now" in answer.json()["problem"]
        assert requests.get(f"{server.url}/sky/place", {"q": "148.97 69.65"}, timeout=300).status_code == 200


def test_the_page_works_without_javascript(served: Served) -> None:
    page = visit(f"{served.url}/sky?source={SOURCE}&background={RING}&exposure=a.fits&exposure=b.fits&q=M82")
    form = page.all("//form[@id='sky-form']")[0]
    fields = {field.get("name"): field for field in form.xpath(".//textarea")}
    assert fields["source"].text.strip() == SOURCE and fields["background"].text.strip() == RING
    assert form.get("method", "get").lower() == "get"
    hidden = [(field.get("name"), field.get("value")) for field in form.xpath(".//input[@type='hidden']")]
    assert hidden == [("q", "M82"), ("exposure", "a.fits"), ("exposure", "b.fits")]
    assert "Sky" in [link.text for link in page.all("//nav//a")]


def test_the_policy_opens_the_page_for_the_configured_surveys_only(served: Served) -> None:
    policy = requests.get(f"{served.url}/sky", timeout=300).headers["Content-Security-Policy"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["connect-src"] == "'self' data: http://localhost:21012 http://127.0.0.1:9 https://x.org"
    assert rules["img-src"] == "'self' data: blob: http://127.0.0.1:9 https://x.org"
    assert "unsafe-inline" not in policy and "'unsafe-eval'" not in policy and rules["default-src"] == "'self'"
    other = requests.get(f"{served.url}/help", timeout=300).headers["Content-Security-Policy"]
    assert "x.org" not in other and "wasm" not in other


def test_the_configured_surveys_can_be_chosen(served: Served) -> None:
    options = visit(f"{served.url}/sky").all("//select[@id='sky-survey']/option")
    assert [(option.text, option.get("value")) for option in options] == [
        ("none", ""),
        ("No real one", "http://127.0.0.1:9/first"),
        ("Second of them", "https://x.org/hips/second/"),
    ]


def test_a_server_for_accounts_shows_the_page_to_none_without_one(tmp_path: Path) -> None:
    with running_server(tmp_path / "data", anonymous="refused") as server:
        for path in ("sky", "sky/check?source=1+2+3", "sky/place?q=1+2", "sky/source.reg?source=1+2+3"):
            assert requests.get(f"{server.url}/{path}", timeout=300).status_code == 401, path


def test_the_sky_without_a_picture_is_a_hips(served: Served) -> None:
    url = f"{served.url}/sky/blank"
    text = requests.get(f"{url}/properties", timeout=300).text
    properties = dict(re.fullmatch(r"(\w+)\s*= (.*)", line).groups() for line in text.splitlines())  # type: ignore[union-attr]
    assert {"creator_did", "obs_title", "dataproduct_type", "hips_version", "hips_frame", "hips_order",
            "hips_tile_width", "hips_tile_format", "hips_status"} <= properties.keys()  # fmt: skip
    width = int(properties["hips_tile_width"])
    for name, size in (("Norder0/Dir0/Npix11.png", (width, width)), ("Norder3/Allsky.png", (27 * width, 29 * width))):
        png = requests.get(f"{url}/{name}", timeout=300)
        assert png.headers["Content-Type"] == "image/png" and png.content.startswith(b"\x89PNG\r\n")
        assert tuple(int.from_bytes(png.content[at : at + 4]) for at in (16, 20)) == size
    moc = requests.get(f"{url}/Moc.fits", timeout=300).content
    with_astropy = MOC.from_fits(io.BytesIO(moc))
    assert with_astropy.sky_fraction == 1
    assert requests.get(f"{url}/index.html", timeout=300).status_code == 404
