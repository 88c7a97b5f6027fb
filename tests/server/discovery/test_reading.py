"""Values of DALI, SIA and SSA, and the conditions made of them, against a brute force over rows."""

from __future__ import annotations

import math
import random

import pytest
from astropy.time import Time

from uws_server.discovery import reading
from uws_server.discovery.conditions import CentredIn, HasState, Interval, OneOf, Overlaps, Within, fulfils
from uws_server.discovery.sphere import Circle, Polygon, Range
from uws_server.errors import BadRequest
from uws_server.protocol.sia2 import conditions


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 2", Interval(1, 2)), ("1e-10", Interval(1e-10, 1e-10)), ("-Inf 5", Interval(-math.inf, 5)),
        (" +1.5   +inf ", Interval(1.5, math.inf)), (".5 1.", Interval(0.5, 1)),
    ],
)  # fmt: skip
def test_intervals_of_dali(text: str, expected: Interval) -> None:
    assert reading.interval(text, "an interval") == expected


@pytest.mark.parametrize(
    "text", ["2 1", "1 2 3", "NaN", "1,2", "one", "1e999999", "0x10", "١ ٢", "1_0", "1" + " 1" * 9999]
)
def test_what_is_no_interval_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="came; ") as refused:
        reading.interval(text, "an interval")
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CIRCLE 10 20 0.5", Circle(10, 20, 0.5)), ("circle 360 -90 0", Circle(0, -90, 0)),
        ("Range 350 10 -Inf +Inf", Range(350, 10, -90, 90)), ("RANGE -Inf +Inf 0 1", Range(0, 360, 0, 1)),
        ("POLYGON 1 2 3 2 3 4", Polygon(((1, 2), (3, 2), (3, 4)))),
    ],
)  # fmt: skip
def test_places_of_sia(text: str, expected: object) -> None:
    assert reading.place(text) == expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("CIRCLE 10 20", "CIRCLE ra dec radius"), ("CIRCLE 10 20 -1", "radius of -1"), ("CIRCLE 10 91 1", "10 91 came"),
        ("CIRCLE nan 20 1", "CIRCLE ra"), ("CIRCLE inf 20 1", "inf 20 came"), ("BOX 1 2 3 4", "CIRCLE ra dec radius"),
        ("POLYGON 1 2 3 4", "CIRCLE ra"), ("POLYGON 1 2 3 4 1 2", "at least 3 different corners; 2 came"),
        ("POLYGON 0 0 120 0 240 0", "hemisphere"), ("RANGE 0 1 5 4", "the smaller first"), ("", "CIRCLE ra"),
        ("RANGE 0 400 0 1", "0 to 360"), ("RANGE 0 1 -91 0", "-90 to 90"),
    ],
)  # fmt: skip
def test_what_is_no_place_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        reading.place(text)


def test_ranges_of_ssa() -> None:
    assert reading.position("148.97,69.68") == reading.position(" 148.97 , 69.68;ICRS") == (148.97, 69.68)
    assert reading.band("1e-10/6e-9") == Interval(1e-10, 6e-9)
    assert (reading.band("/6e-9").low, reading.band("6e-9/").high) == (-math.inf, math.inf)
    assert reading.band("X-ray").holds(1e-9) and not reading.band("Optical").holds(1e-9)
    year = reading.dates("2001")
    assert (year.low, year.high) == (Time("2001-01-01").mjd, Time("2002-01-01").mjd)
    span = reading.dates("2001-05-01T12:00:00/2002-01")
    assert (span.low, span.high) == pytest.approx((Time("2001-05-01T12:00:00").mjd, Time("2002-02-01").mjd), abs=1e-9)
    assert reading.dates("/2001").low == -math.inf
    for read, text in ((reading.position, "1"), (reading.position, "1,2;GALACTIC"), (reading.band, "1/2/3"),
                       (reading.band, "xray"), (reading.band, "/"), (reading.dates, "soon"), (reading.dates, "2/1"),
                       (reading.dates, "2002/2001-01-01")):  # fmt: skip
        with pytest.raises(ValueError, match="came"):
            read(text)


def test_a_row_is_found_where_each_parameter_has_a_value_that_fits() -> None:
    chance = random.Random(3)
    rows = [
        {
            "dataproduct_type": chance.choice(["image", "cube", "event", None]),
            "obs_collection": chance.choice(["XMM-Newton", "Chandra"]), "calib_level": chance.choice([1, 2, 3]),
            "em_min": low, "em_max": chance.choice([None, low * 2]), "pol_states": chance.choice([None, "/I/Q/"]),
            "t_exptime": chance.choice([None, 10.0, 1000.0]),
        }
        for low in (chance.uniform(1e-10, 1e-9) for _ in range(500))
    ]  # fmt: skip
    asked = {"COLLECTION": ["xmm-newton"], "CALIB": ["2", "3"], "BAND": ["-Inf 3e-10", "7e-10 8e-10"],
             "EXPTIME": ["5 20"], "POL": ["q"]}  # fmt: skip
    wanted = conditions(asked)
    expected = [
        row
        for row in rows
        if row["dataproduct_type"] in ("image", "cube") and row["obs_collection"] == "XMM-Newton"
        and row["calib_level"] in (2, 3) and row["t_exptime"] == 10.0 and row["pol_states"]
        and row["em_max"] and (row["em_min"] <= 3e-10 or (row["em_min"] <= 8e-10 and row["em_max"] >= 7e-10))
    ]  # fmt: skip
    assert [row for row in rows if fulfils(row, wanted)] == expected and 0 < len(expected) < 100


def test_conditions_of_a_column_without_a_value_hold_for_nothing() -> None:
    everything, empty = (Interval(-math.inf, math.inf),), frozenset({"", "none"})
    for condition in (Overlaps("t_min", "t_max", everything), Within("s_fov", everything), CentredIn(0, 0, 180),
                      OneOf("target_name", empty), HasState("pol_states", empty)):  # fmt: skip
        assert not condition.holds({"t_min": 5.0, "s_ra": 1.0})


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"BAND": ["x"]}, "BAND: 'x' came; an interval of wavelengths in m"), ({"POS": ["1 2"]}, "POS: '1 2' came"),
        ({"CALIB": ["5"]}, "CALIB: '5' came; a whole number from 0 to 4"), ({"POL": ["Z"]}, "POL: 'Z' came; I, Q"),
        ({"DPTYPE": ["photo"]}, "DPTYPE: 'photo' came; image, cube"),
        ({"TIME": ["+Inf +Inf"]}, "TIME: an interval that"),
    ],
)  # fmt: skip
def test_the_parameter_that_is_wrong_is_named(asked: dict[str, list[str]], sentence: str) -> None:
    with pytest.raises(BadRequest, match=sentence.replace("+", r"\+")):
        conditions(asked)
