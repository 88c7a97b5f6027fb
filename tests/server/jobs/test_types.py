"""Times, positions, steps, units and patterns, held against astropy; and that no text holds the server up."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import Angle, SkyCoord
from astropy.time import Time
from hypothesis import given, settings
from hypothesis import strategies as st

from growth import Work, counted_calls, require_linear
from uws_server.jobs import patterns
from uws_server.jobs.checks import problems
from uws_server.jobs.definition import PARAMETER_TYPES, Definition, Entry, ParameterSpec
from uws_server.jobs.job import ParameterValue
from uws_server.jobs.parameters import TYPES, read_values
from uws_server.jobs.positions import position_or_name
from uws_server.jobs.times import write_time
from uws_server.jobs.units import convert


def accept(text: str, type_: str, **about: Any) -> ParameterValue:
    return read_values(ParameterSpec("p", type_, **about), [text], TYPES[type_])


def refusal(text: str, type_: str, **about: Any) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        accept(text, type_, **about)
    return str(caught.value)


# --- times -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("2026-11-20", "2026-11-20T00:00:00Z"),
        ("2026-11-20Z", "2026-11-20T00:00:00Z"),
        ("2026-11-20T12:34", "2026-11-20T12:34:00Z"),
        (" 2026-11-20 12:34:56\n", "2026-11-20T12:34:56Z"),
        ("2026-11-20t12:34:56.500z", "2026-11-20T12:34:56.5Z"),
        ("2026-11-20 12:34:56 UTC", "2026-11-20T12:34:56Z"),
        ("2026-11-20T12:34:56+02:00", "2026-11-20T10:34:56Z"),
        ("2026-11-20T12:34:56 -0130", "2026-11-20T14:04:56Z"),
        ("2026-11-20T12:34:56.123456789", "2026-11-20T12:34:56.123456Z"),
        ("MJD 53000.5", "2003-12-27T12:00:00Z"),
        ("mjd53000.5", "2003-12-27T12:00:00Z"),
        ("JD 2453001", "2003-12-27T12:00:00Z"),
    ],
)
def test_times_are_utc(text: str, canonical: str) -> None:
    assert accept(text, "datetime") == ParameterValue(canonical, canonical)
    assert accept(canonical, "datetime").value == canonical


@pytest.mark.parametrize(
    "text",
    ["2026", "2026-13-01", "2026-02-30", "20261120", "2026-W47-5", "now", "53000.5", "12:00", "2026-11-20T25:00", "MJD",
     "2016-12-31T23:59:60Z", "MJD 99999999", "JD 0", "0001-01-01T00:00+01:00", "٢٠٢٦-01-01", "2026-11-20T12:00+99:99"],
)  # fmt: skip
def test_what_is_no_time_is_refused(text: str) -> None:
    assert "is not a time" in refusal(text, "datetime")
    assert repr(text) in refusal(text, "datetime")


moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(lambda when: when.replace(tzinfo=UTC))


@given(moments)
def test_a_time_comes_back(when: datetime) -> None:
    assert accept(when.isoformat(), "datetime").value == write_time(when)
    assert datetime.fromisoformat(write_time(when)) == when


@given(st.integers(41317 * 10**6, 61000 * 10**6))
def test_julian_dates_agree_with_astropy(millionths: int) -> None:
    """But for the days of a leap second, which a Julian date does not know."""
    days = f"{millionths // 10**6}.{millionths % 10**6:06d}"
    ours = datetime.fromisoformat(str(accept(f"MJD {days}", "datetime").value))
    theirs = Time(int(days[:5]), float(f"0.{days[6:]}"), format="mjd", scale="utc").to_datetime(timezone=UTC)
    assert abs(ours - theirs) < timedelta(seconds=1.01)
    if round((Time(int(days[:5]) + 1, format="mjd") - Time(int(days[:5]), format="mjd")).sec) == 86400:
        assert abs(ours - theirs) <= timedelta(microseconds=2)
    assert accept(f"JD {(millionths + 2400000500000) // 10**6}", "datetime")


@pytest.mark.parametrize(
    "text",
    [
        "2003-12-27T12:00:00Z/2003-12-28",
        "2003-12-27 12:00 2003-12-28",
        "2003-12-27 12:00, 2003-12-28 00:00",
        "2003-12-27T12:00 to 2003-12-28T00:00:00Z",
        "MJD 53000.5 53001",
        "MJD 53000.5 / MJD 53001",
        "MJD 53000.5/JD 2453001.5",
        "2003-12-27T13:00+01:00/2003-12-28Z",
    ],
)
def test_ranges_of_time(text: str) -> None:
    canonical = "2003-12-27T12:00:00Z/2003-12-28T00:00:00Z"
    assert accept(text, "time_range") == ParameterValue(canonical, canonical)
    assert accept(canonical, "time_range").value == canonical


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2003-12-27", "expected are a beginning and an end such as"),
        ("2003-12-27/", "expected are a beginning and an end such as"),
        ("53000 53001", "expected are a beginning and an end such as"),
        ("2003-12-28/2003-12-27", "the beginning must come first"),
        ("2003-12-28/2003-12-28", "the beginning must come first"),
        ("2003-12-27/53001", "write both times alike"),
        ("2003-02-30/2003-12-27", "'2003-02-30' is not a time of the calendar"),
    ],
)
def test_what_is_no_range_of_time_is_refused(text: str, said: str) -> None:
    assert said in refusal(text, "time_range")


@given(st.lists(moments, min_size=2, max_size=2, unique=True).map(sorted), st.sampled_from(["/", " ", ", ", " to "]))
def test_a_range_of_time_comes_back(times: list[datetime], between: str) -> None:
    accepted = accept(between.join(when.isoformat(" ") for when in times), "time_range")
    assert [datetime.fromisoformat(word) for word in accepted.text.split("/")] == times
    assert accept(accepted.text, "time_range") == accepted


# --- positions ---------------------------------------------------------------------------------------------


def degrees(text: str) -> tuple[float, float]:
    accepted = accept(text, "position")
    assert accepted.text == accepted.value
    assert accept(accepted.text, "position") == accepted
    ra, dec = map(float, accepted.text.split())
    return ra, dec


@pytest.mark.parametrize(
    "text",
    [
        "148.97 69.65",
        "148.97, 69.65",
        "148.97,+69.65",
        "148.97d 69.65d",
        "148.97 deg 69.65 deg",
        "148.97° +69.65°",
        "09:55:52.8 +69:39:00",
        "09:55:52.8, 69:39",
        "9 55 52.8 69 39 00",
        "9 55 52.8 +69 39",
        "9h55m52.8s +69d39m",
        "9h 55m 52.8s, 69° 39' 0\"",
        "148d58m12s +69d39m00s",
    ],
)
def test_one_position_in_many_ways(text: str) -> None:
    assert degrees(text) == pytest.approx((148.97, 69.65), abs=1e-9)


on_sky = st.tuples(st.floats(0, 359.9999), st.floats(-90, 90))


@given(on_sky)
def test_positions_agree_with_astropy(place: tuple[float, float]) -> None:
    coordinates = SkyCoord(*place, unit="deg")
    for text, units in (
        (coordinates.to_string("decimal", precision=12), ("deg", "deg")),
        (coordinates.to_string("hmsdms", precision=8), ("hourangle", "deg")),
        (coordinates.to_string("hmsdms", sep=":", precision=8), ("hourangle", "deg")),
        (coordinates.to_string("hmsdms", sep=" ", precision=8), ("hourangle", "deg")),
        (coordinates.to_string("dms", precision=8), ("deg", "deg")),
    ):
        ours = SkyCoord(*degrees(text), unit="deg")
        assert ours.separation(SkyCoord(text, unit=units)).to_value("uas") < 1
        assert ours.separation(coordinates).to_value("uas") < 1


def test_a_small_southern_declination_keeps_its_sign() -> None:
    assert degrees("0:0:0 -00:00:36") == (0, pytest.approx(-0.01))
    assert degrees("0h0m0s -0d0m36s") == (0, pytest.approx(-0.01))
    assert degrees("360 -0.0") == (0, 0)
    assert degrees("359.99999999999 0")[0] == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("148.97", "is not a position; expected is 148.97 69.65"),
        ("1 2 3", "is not a position; expected is"),
        ("148.97 95", "is not on the sky; right ascension is 0 to 360 degrees, declination -90 to 90"),
        ("361 0", "is not on the sky"),
        ("-1 0", "is not on the sky"),
        ("24:00:01 0:0:0", "is not on the sky"),
        ("9:60:00 1:00:00", "minutes and seconds are below 60"),
        ("9:55:53.3 69.65", "is not a position; expected is"),
        ("M 82", "this server looks no names up (its key `resolver` is empty)"),
        ("nan nan", "this server looks no names up"),
    ],
)
def test_what_is_no_position_is_refused(text: str, said: str) -> None:
    assert said in refusal(text, "position")


def test_a_name_is_looked_up_and_a_position_is_not() -> None:
    asked = []

    def resolve(name: str) -> tuple[float, float]:
        asked.append(name)
        return (math.nan, 0) if name == "nowhere" else (148.96845833, 69.67970278)

    check = position_or_name(resolve)
    spec = ParameterSpec("p", "position")
    assert check(" M 82 ", spec).value == "148.96845833 69.67970278"
    assert check("3C 273", spec).value == check("[HB89] 0003+158", spec).value
    assert check("10 20", spec).value == "10 20"
    with pytest.raises(ValueError, match="is not on the sky"):
        check("nowhere", spec)
    with pytest.raises(ValueError, match="is not a position"):
        check("name?&x=1", spec)
    assert asked == ["M 82", "3C 273", "[HB89] 0003+158", "nowhere"]


# --- steps -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "type_", "about", "said"),
    [
        ("3", "integer", {"step": 2}, "'3' is not in steps of 2; the nearest allowed is 2 and 4"),
        ("4", "integer", {"step": 2, "min": 1}, "the nearest allowed is 3 and 5"),
        ("10", "integer", {"step": 4, "min": 1, "max": 11}, "the nearest allowed is 9"),
        ("-1", "integer", {"step": 3}, "the nearest allowed is -3 and 0"),
        ("0.25", "float", {"step": 0.1}, "the nearest allowed is 0.2 and 0.3"),
        ("13 arcsec", "float", {"step": 0.1, "unit": "arcmin"}, "the nearest allowed is 0.2 and 0.3 arcmin"),
        (
            "0.2 12.04",
            "energy_range",
            {"step": 0.1, "unit": "keV"},
            "in steps of 0.1 keV; the nearest allowed is 12 and",
        ),
        ("999999999999999999", "integer", {"step": 10}, "is not in steps of 10"),
        ("1e308", "float", {"step": 0.3}, ""),
    ],
)
def test_a_value_between_steps_is_told_its_neighbours(text: str, type_: str, about: dict[str, Any], said: str) -> None:
    if said:
        assert said in refusal(text, type_, **about)
    else:
        assert accept(text, type_, **about)


@given(st.integers(-(10**6), 10**6), st.integers(1, 1000), st.integers(0, 6), st.integers(-1000, 1000))
def test_whole_steps_are_accepted(k: int, step: int, decimals: int, begin: int) -> None:
    """Numbers as decimals, such as 0.3, which no float is exactly."""
    low = (begin - abs(k) * step) / 10**decimals if k < 0 else begin / 10**decimals
    number = (begin - abs(k) * step + 2 * abs(k) * step if k < 0 else begin + k * step) / 10**decimals
    spec = {"min": low, "step": step / 10**decimals}
    assert accept(repr(number), "float", **spec).value == number


def test_a_converted_number_on_a_step_is_accepted() -> None:
    for arcsec in range(0, 300, 6):
        assert accept(f"{arcsec} arcsec", "float", unit="arcmin", step=0.1, min=0)


# --- units -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "wanted"),
    [("erg / s", "W"), ("erg/s cm-2", "J m2 s-1"), ("erg s**-1 cm^-2", "W/m2"), ("km s-1", "m/s"),
     ("mJy", "W m-2 Hz-1"), ("arcmin2", "deg2"), ("count/s", "count/ks"), ("arcsec", "deg"), ("µs", "ns"),
     ("Angstrom", "keV")],
)  # fmt: skip
def test_compound_units_agree_with_astropy(unit: str, wanted: str) -> None:
    there = (3.5 * u.Unit(unit)).to_value(u.Unit(wanted), u.spectral())
    assert convert(3.5, unit, wanted) == pytest.approx(there, rel=1e-14)


def test_two_slashes_divide_twice() -> None:
    assert convert(1.0, "erg/s/cm2", "W/m2") == pytest.approx((u.erg / u.s / u.cm**2).to("W/m2"), rel=1e-14)


@pytest.mark.parametrize(
    "unit", ["10**999999999 m", "m/10**99999999", "m**999999999", "((9**9)**9)**9", "bananana", "m" * 100, "m*" * 30]
)
def test_a_unit_that_is_none_is_refused_at_once(unit: str) -> None:
    """astropy would compute the power, or look for a unit of a similar name."""
    with pytest.raises(ValueError, match="is not one"):
        convert(1.0, "no unit", "m")  # what is made at the first use is there now
    for came, wanted, said in ((unit, "m", "is not one that converts to m"), ("m", unit, "unit 'm' is not one that")):
        with counted_calls() as calls, pytest.raises(ValueError, match=said):
            convert(1.0, came, wanted)
        assert calls.total() < 40_000


# --- patterns ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|a)*b", "(a|aa)+b", "(.*a){20}b", "((a?){100}){3}b", "(a*)*b", "(?:a?){300}a{300}b"]
)
def test_no_pattern_holds_the_server_up(pattern: str) -> None:
    spec = ParameterSpec("p", "string", pattern=pattern)

    def refusing(length: int) -> Work:
        text = "a" * (length - 1) + "!"

        def refuse() -> None:
            with pytest.raises(ValueError, match="is not allowed"):
                TYPES["string"](text, spec)

        return refuse

    require_linear(refusing, 10, times=2, runs=50)  # where each letter more doubles the time, this is told soon
    require_linear(refusing, 12_500)


def test_a_pattern_holds_for_the_whole_text_and_any_script() -> None:
    assert patterns.matches("[0-9]+", "12")
    assert not patterns.matches("[0-9]+", "12\n")
    assert not patterns.matches("[0-9]+|a", "12a")
    assert patterns.matches("é+", "éé")


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("(", "missing )"),
        ("[a", "missing ]"),
        ("*", "no argument for repetition"),
        ("(?=a)a", "look-ahead and back references are not allowed"),
        (r"(a)\1", "look-ahead and back references are not allowed"),
        ("(a{1000}){1000}", "invalid repetition size"),
        ("((ab?){30}){30}", "is too large"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_a_problem_of_its_definition(pattern: str, said: str) -> None:
    spec = ParameterSpec("p", "string", pattern=pattern)
    found = problems(Definition("d", "1", "D", Entry("shell", "run.sh"), parameters=(spec,)))
    assert [problem.parameter for problem in found] == ["parameters[0].pattern"]
    assert said in found[0].message


def test_any_type_may_have_a_pattern() -> None:
    about = {"pattern": "2026-.*", "annotation": "a time of the year 2026"}
    assert accept("2026-11-20", "datetime", **about)
    assert "expected is a time of the year 2026" in refusal("2025-11-20", "datetime", **about)


@pytest.mark.parametrize("bound", ["min", "max", "step"])
def test_a_bound_that_is_not_finite_is_a_problem(bound: str) -> None:
    spec = ParameterSpec("p", "float", **{bound: float("inf")})
    found = problems(Definition("d", "1", "D", Entry("shell", "run.sh"), parameters=(spec,)))
    assert f"parameters[0].{bound}: inf is not a finite number" in [str(problem) for problem in found]


# --- any text ----------------------------------------------------------------------------------------------

odd = st.text(max_size=60) | st.text("0123456789.:-+/, TZMJDhmsd°'\"to", max_size=50)


@settings(max_examples=300)
@given(odd, st.sampled_from(["datetime", "time_range", "position"]))
def test_any_text_is_a_value_that_comes_back_or_a_sentence(text: str, type_: str) -> None:
    spec = ParameterSpec("p", type_)
    try:
        accepted = TYPES[type_](text, spec)
    except ValueError as error:
        assert 0 < len(str(error)) < 500
        assert str(error).isprintable()
    else:
        assert TYPES[type_](accepted.text, spec) == accepted


@pytest.mark.parametrize("type_", sorted(TYPES))
@pytest.mark.parametrize(
    ("again", "count"),
    [("1", 100_000), ("1 ", 50_000), ("a", 100_000), ("1:", 50_000), ("1", 96), ("1 a", 32), ("-", 96)],
)
def test_a_long_text_is_refused_at_once(type_: str, again: str, count: int) -> None:
    options = tuple(f"option {i}" for i in range(1000))
    spec = ParameterSpec("p", type_, options=options, pattern="[a-z]{1,90}", max_length=50_000, step=0.1, unit="keV")

    def refusing(many: int) -> Work:
        text = again * many

        def refuse() -> None:
            with pytest.raises(ValueError, match=r".") as caught:
                read_values(spec, [text], TYPES[type_])
            assert len(str(caught.value)) < 600

        return refuse

    require_linear(refusing, count // 4, times=4, runs=20)


def test_every_type_is_known() -> None:
    others = {"region", "eventlist", "file", "url", "observation"}
    assert set(TYPES) | others == set(PARAMETER_TYPES)
    assert np.isclose(Angle("9h55m52.8s").degree, 148.97)
