"""Parameter values: what is accepted and as what, and that a refusal names the parameter and what is allowed."""

from __future__ import annotations

import math
from typing import Any

import astropy.units as u
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from growth import Work, growth, require_linear
from uws_server.errors import InvalidParameters
from uws_server.jobs.definition import Definition, Entry, ParameterSpec
from uws_server.jobs.job import ParameterValue
from uws_server.jobs.parameters import TYPES, shorten, validate

CIRCLE = ParameterSpec("radius", "float", min=0, max=5, unit="arcmin", default=1)
ENERGY = ParameterSpec("energy", "energy_range", min=0.01, max=200, unit="keV", default="0.2 12.0")


def accept(text: str, type_: str, **about: Any) -> ParameterValue:
    return TYPES[type_](text, ParameterSpec("p", type_, **about))


def refusal(text: str, type_: str, **about: Any) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        accept(text, type_, **about)
    return str(caught.value)


def definition(*specs: ParameterSpec) -> Definition:
    return Definition("spectrum", "1", "Spectrum", Entry("python", "run.py"), parameters=specs)


def problems(specs: tuple[ParameterSpec, ...], given_values: dict[str, list[str]]) -> dict[str, str]:
    with pytest.raises(InvalidParameters) as caught:
        validate(definition(*specs), given_values, TYPES)
    return {problem.parameter: problem.message for problem in caught.value.problems}


@given(st.integers(-(10**18) + 1, 10**18 - 1))
def test_whole_numbers_come_back(number: int) -> None:
    assert accept(str(number), "integer") == ParameterValue(str(number), number)
    assert accept(f" {number:+d}\n", "integer").value == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_come_back_to_the_last_bit(number: float) -> None:
    accepted = accept(repr(number), "float")
    assert accepted.value == number
    assert float(accepted.text) == number
    assert accept(accepted.text, "float") == accepted


@pytest.mark.parametrize("word", ["true", "TRUE", " yes ", "on", "1", "T"])
def test_words_that_mean_true(word: str) -> None:
    assert accept(word, "boolean") == ParameterValue("true", True)
    assert refusal(word + "x", "boolean") == f"{word + 'x'!r} is neither true nor false"


@pytest.mark.parametrize("word", ["false", "No", "off", "0", "f"])
def test_words_that_mean_false(word: str) -> None:
    assert accept(word, "boolean") == ParameterValue("false", False)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=200))
def test_text_is_kept_as_it_came(text: str) -> None:
    assert accept(text, "string") == ParameterValue(text, text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("40 arcsec", 40 / 60),
        ("40arcsec", 40 / 60),
        ("0.05 deg", 3.0),
        ('30"', 0.5),
        ("1.5'", 1.5),
        ("0.05°", 3.0),
        ("2", 2.0),
        ("1e0 arcmin", 1.0),
        ("1.", 1.0),
        (".5", 0.5),
    ],
)
def test_a_unit_is_converted(text: str, value: float) -> None:
    accepted = TYPES["float"](text, CIRCLE)
    assert accepted.value == pytest.approx(value, rel=1e-14)
    assert float(accepted.text) == accepted.value


def test_a_converted_number_shows_no_noise() -> None:
    assert (2.01 * u.keV).to_value("eV") != 2010
    assert accept("2.01 keV", "float", unit="eV") == ParameterValue("2010", 2010.0)


@given(st.floats(0.1, 100), st.sampled_from(["eV", "keV", "Angstrom", "nm", "Hz", "J", "MeV"]))
def test_energies_in_any_unit_agree_with_astropy(number: float, unit: str) -> None:
    accepted = accept(f"{number!r} {unit}", "float", unit="keV")
    assert accepted.value == pytest.approx((number * u.Unit(unit)).to_value("keV", u.spectral()), rel=1e-13)
    assert float(accepted.text) == accepted.value


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "",
        "1,5",
        "0x10",
        "1 2",
        "1 10 arcsec",
        "1 (10 arcmin)",
        "1 arcmin*10",
        "--1",
        "nan",
        "inf",
        "1e",
        "1 keV",
        "1 s",
        "1 arcmin/s/s",
        "1 *",
    ],
)
def test_what_is_no_radius_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a number; allowed is 0 to 5 arcmin|converts to arcmin"):
        TYPES["float"](text, CIRCLE)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("5.0001", "'5.0001' is out of range; allowed is 0 to 5 arcmin"),
        ("-1e-9", "'-1e-9' is out of range; allowed is 0 to 5 arcmin"),
        ("301 arcsec", "'301 arcsec' is out of range; allowed is 0 to 5 arcmin"),
        ("1e999", "'1e999' is not a finite number; allowed is 0 to 5 arcmin"),
        ("3 keV", "unit 'keV' is not one that converts to arcmin"),
        ("1,5", "'1,5' is not a number; allowed is 0 to 5 arcmin"),
    ],
)
def test_a_radius_out_of_range_is_refused_with_the_range(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"^" + said.replace("+", r"\+")):
        TYPES["float"](text, CIRCLE)


def test_the_unit_of_the_parameter_is_taken_whoever_knows_it() -> None:
    assert accept("2 sec", "float", unit="sec").value == 2.0
    assert accept("3 %", "float", unit="%").value == 3.0
    assert accept("0.5 deg2/photon", "float", unit="deg2/photon ").value == 0.5


def test_capitals_of_a_unit_are_told() -> None:
    assert refusal("2 kev", "float", unit="keV") == "unit 'kev' is not one that converts to keV; did you mean keV?"
    assert refusal("2 GAUSS", "float", unit="keV") == "unit 'GAUSS' is not one that converts to keV"


def test_a_unit_where_there_is_none_is_refused() -> None:
    assert refusal("3 keV", "float") == "unit 'keV' came, a plain number is expected"


def test_a_wavelength_of_zero_is_no_energy() -> None:
    assert "not a finite number" in refusal("0 Angstrom", "float", unit="keV")


@pytest.mark.parametrize("text", ["1.0", "1e3", "", "12abc", "1" * 19, "٣", "1_000", "+ 1"])
def test_what_is_no_whole_number_is_refused(text: str) -> None:
    assert "is not a whole number; allowed is 1 or more" in refusal(text, "integer", min=1)


def test_bounds_on_one_side_are_told() -> None:
    assert refusal("0", "integer", min=1) == "'0' is out of range; allowed is 1 or more"
    assert refusal("9", "float", max=8, unit="s") == "'9' is out of range; allowed is 8 s or less"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0.2 12", "0.2 12"),
        ("0.2-12", "0.2 12"),
        ("0.2 - 12.0 keV", "0.2 12"),
        (".2:12keV", "0.2 12"),
        ("200 eV, 12 keV", "0.2 12"),
        ("200 12000 eV", "0.2 12"),
        ("0.2 keV to 12", "0.2 12"),
        ("5e-1,1e1", "0.5 10"),
        ("0.2 to 12", "0.2 12"),
        ("0.2keVto12keV", "0.2 12"),
        # intervals of DALI
        ("0.2/12", "0.2 12"),
        ("200 / 12000 eV", "0.2 12"),
        ("-Inf 12", "0.01 12"),
        ("0.2 +Inf", "0.2 200"),
        ("-inf/Infinity keV", "0.01 200"),
        # bands of SODA, in wavelengths: 12.39841984 keV Angstrom
        ("1e-10 6e-9 m", "0.2066403307 12.39841984"),
        ("6e-9 1e-10 m", "0.2066403307 12.39841984"),
        ("1 Å to 60 Å", "0.2066403307 12.39841984"),
        ("-Inf 6e-9 m", "0.2066403307 200"),
        ("1e-10 m +Inf m", "0.01 12.39841984"),
        ("6e-9 m 12 keV", "0.2066403307 12"),
    ],
)
def test_energy_ranges(text: str, canonical: str) -> None:
    accepted = TYPES["energy_range"](text, ENERGY)
    assert accepted == ParameterValue(canonical, canonical)
    assert TYPES["energy_range"](canonical, ENERGY) == accepted


@pytest.mark.parametrize(
    "text",
    [
        "12 0.2",
        "1 1",
        "1",
        "1 2 3",
        "a b",
        "1 2 m/s",
        "0 1",
        "1 300",
        "..1 2",
        "nan 1",
        "1 2 s",
        "1.0000000000001 1.0000000000002",
        "+Inf 12",
        "12 -Inf",
        "Inf Inf",
        "0.2 NaN",
        "0.2 .. 12",
        "1 2 to",
        "12 0.2/1",
        "1e-10 1e-10 m",
        "-Inf 12 s",
    ],
)
def test_what_is_no_energy_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"lower energy|not an energy range|out of range|converts to keV"):
        TYPES["energy_range"](text, ENERGY)


def test_an_open_end_needs_a_bound() -> None:
    assert accept("-Inf 2", "energy_range", unit="keV", min=0.1).text == "0.1 2"
    assert refusal("2 +Inf", "energy_range", unit="keV", min=0.1) == (
        "'2 +Inf' has an open end, and this parameter no bound there; give a number"
    )


@given(st.floats(0.1, 100), st.floats(1.01, 100))
def test_a_band_in_wavelengths_is_the_one_of_astropy(low: float, factor: float) -> None:
    ends = [low, min(199.0, low * factor)]
    shorter, longer = sorted((ends * u.keV).to_value("m", u.spectral()).tolist())
    accepted = TYPES["energy_range"](f"{shorter!r} {longer!r} m", ENERGY)
    assert [float(word) for word in accepted.text.split()] == pytest.approx(ends, rel=1e-8)


@pytest.mark.parametrize("blank", [" ", "\t", "\n"])
def test_blanks_of_an_energy_range_take_linear_time(blank: str) -> None:
    """Twice as many blanks: not eight times the time, as a pattern with three runs of them takes."""

    def refusing(many: int) -> Work:
        text = f"1{blank * many}x"

        def refuse() -> None:
            for _ in range(20):
                with pytest.raises(ValueError, match="not an energy range"):
                    TYPES["energy_range"](text, ENERGY)

        return refuse

    assert growth(refusing, 48, times=2, runs=20) < 3


@given(st.floats(0.01, 199), st.floats(1.001, 1000))
def test_an_accepted_energy_range_is_accepted_again(low: float, factor: float) -> None:
    high = min(200.0, low * factor)
    accepted = TYPES["energy_range"](f"{low!r} {high!r}", ENERGY)
    numbers = [float(word) for word in str(accepted.value).split()]
    assert numbers == pytest.approx([low, high], rel=1e-9)
    assert TYPES["energy_range"](accepted.text, ENERGY) == accepted


def test_a_choice_is_told_its_options() -> None:
    options = ("Strict", "none")
    assert accept(" strict ", "choice", options=options) == ParameterValue("Strict", "Strict")
    assert refusal("all", "choice", options=options) == "'all' is not one of Strict, none"


def test_text_is_held_against_length_and_pattern() -> None:
    assert refusal("abcd", "string", max_length=3) == "4 characters came, at most 3 are allowed"
    about = {"pattern": "[0-9]+(:[0-9]+)?", "annotation": "a list such as 0:4"}
    assert accept("0:4", "string", **about).value == "0:4"
    assert refusal("0:4\n", "string", **about) == r"'0:4\n' is not allowed; expected is a list such as 0:4"


SPECS = {
    "string": ParameterSpec("p", "string", max_length=30, pattern="[a-z ]*"),
    "boolean": ParameterSpec("p", "boolean"),
    "integer": ParameterSpec("p", "integer", min=-5, max=5),
    "float": CIRCLE,
    "choice": ParameterSpec("p", "choice", options=("a", "B")),
    "energy_range": ENERGY,
    "datetime": ParameterSpec("p", "datetime"),
    "time_range": ParameterSpec("p", "time_range"),
    "position": ParameterSpec("p", "position"),
}
odd = st.text(max_size=40) | st.text("0123456789.eE+-keVtoarcmin'/ \t,:()*^", max_size=30)


@settings(max_examples=300)
@given(odd, st.sampled_from(sorted(TYPES)))
@example("1 m**99999999", "float")
@example("1 keV^-1", "energy_range")
@example("5 ()", "float")
@example("1 1e400 arcmin", "float")
@example("1 arcmin/10**999999999", "float")
@example("0001-01-01 00:00+23:59", "datetime")
@example("JD 0", "datetime")
def test_any_text_is_a_value_or_a_sentence(text: str, type_: str) -> None:
    try:
        accepted = TYPES[type_](text, SPECS[type_])
    except ValueError as error:
        assert 0 < len(str(error)) < 400
        assert str(error).isprintable()
    else:
        assert TYPES[type_](accepted.text, SPECS[type_]) == accepted
        assert not isinstance(accepted.value, float) or (math.isfinite(accepted.value) and 0 <= accepted.value <= 5)


@pytest.mark.parametrize("type_", sorted(set(TYPES) - {"string"}))
@pytest.mark.parametrize(
    ("begin", "again", "count", "end"),
    [("1", " ", 2_000_000, "x"), ("1a", " ", 2_000_000, "a"), ("", "1", 4_000_000, ""), ("", "1.2", 10**6, "")],
)
def test_a_huge_text_is_refused_at_once(type_: str, begin: str, again: str, count: int, end: str) -> None:
    def refusing(many: int) -> Work:
        text = begin + again * many + end

        def refuse() -> None:
            with pytest.raises(ValueError, match=r"characters came, at most 100"):
                TYPES[type_](text, SPECS[type_])

        return refuse

    require_linear(refusing, count // 8)


@pytest.mark.parametrize("type_", ["float", "integer", "energy_range"])
@pytest.mark.parametrize(
    ("begin", "again", "count", "end"),
    [("1", " ", 98, "x"), ("", "1e", 50, ""), ("", "1 ", 50, ""), ("", ".", 100, ""), ("", "1", 100, ""),
     ("", "-", 100, ""), ("1a", " ", 97, "a")],
)  # fmt: skip
def test_the_longest_allowed_text_is_refused_soon(type_: str, begin: str, again: str, count: int, end: str) -> None:
    """The time is a power of the length, at most the third, where that of a pattern gone wrong is 2 to the length."""

    def refusing(many: int) -> Work:
        text = begin + again * many + end

        def refuse() -> None:
            with pytest.raises(ValueError, match=r"."):
                TYPES[type_](text, SPECS[type_])

        return refuse

    assert growth(refusing, 12, times=2, runs=50) < 24
    refusing(count)()


# --- a whole request ---------------------------------------------------------------------------------------


def test_names_are_taken_in_any_case_and_answered_in_the_definitions_order() -> None:
    accepted = validate(definition(ENERGY, CIRCLE), {"RADIUS": ["2"], "Energy": ["1 2"]}, TYPES)
    assert list(accepted) == ["energy", "radius"]
    assert (accepted["radius"].value, accepted["energy"].value) == (2.0, "1 2")


def test_what_did_not_come_has_its_default_or_is_left_out() -> None:
    optional = ParameterSpec("note", "string")
    accepted = validate(definition(CIRCLE, optional), {}, TYPES)
    assert accepted == {"radius": ParameterValue("1", 1.0)}
    assert validate(definition(CIRCLE, optional), {"radius": ["  "], "note": [""]}, TYPES) == accepted


def test_a_default_of_false_is_a_value() -> None:
    spec = ParameterSpec("fail", "boolean", default=False)
    assert validate(definition(spec), {}, TYPES) == {"fail": ParameterValue("false", False)}


def test_every_problem_is_told_at_once() -> None:
    needed = ParameterSpec("eventlist", "string", required=True, description="Event list in FITS.")
    found = problems((CIRCLE, ENERGY, needed), {"radius": ["9"], "energy": ["x"], "sauce": ["1"], "ENERGIE": ["2"]})
    assert found == {
        "sauce": "no such parameter; spectrum takes radius, energy, eventlist",
        "ENERGIE": "no such parameter; did you mean energy? spectrum takes radius, energy, eventlist",
        "radius": "'9' is out of range; allowed is 0 to 5 arcmin",
        "energy": "'x' is not an energy range; expected are two numbers such as '0.2 12.0', 0.01 to 200 keV",
        "eventlist": "a value is needed: Event list in FITS.",
    }


@pytest.mark.parametrize("given_values", [{"radius": ["1", "2"]}, {"radius": ["1"], "RADIUS": ["1"]}])
def test_one_value_is_allowed(given_values: dict[str, list[str]]) -> None:
    assert problems((CIRCLE,), given_values) == {"radius": "several values came, one is allowed"}


def test_a_change_keeps_the_rest_and_an_empty_text_takes_a_value_back() -> None:
    both = definition(CIRCLE, ParameterSpec("note", "string"))
    before = validate(both, {"radius": ["3"], "note": ["a"]}, TYPES)
    after = validate(both, {"note": ["b"]}, TYPES, before)
    assert (after["radius"], after["note"].value) == (before["radius"], "b")
    assert validate(both, {"radius": [""], "note": [""]}, TYPES, before) == {"radius": ParameterValue("1", 1.0)}


@pytest.mark.parametrize("character", ["\0", "\x1b", "\ud800", "\ufffe", "\uffff"])
@pytest.mark.parametrize("type_", ["string", "choice", "anything"])
def test_what_no_document_can_hold_is_refused_for_every_type(character: str, type_: str) -> None:
    types = {**TYPES, "anything": lambda text, _spec: ParameterValue(text, text)}
    with pytest.raises(InvalidParameters, match="p: the control character"):
        validate(definition(ParameterSpec("p", type_)), {"p": [f"a{character}b"]}, types)


def refusing_names(length: int) -> Work:
    """Refuse twenty unknown names of about that length, each somewhat like a known one."""
    given_values = {f"{i}" + "radius" * (length // 6): ["1"] for i in range(20)}

    def refuse() -> None:
        with pytest.raises(InvalidParameters):
            validate(definition(CIRCLE, ENERGY), given_values, TYPES)

    return refuse


def test_long_unknown_names_do_not_hold_the_server_up() -> None:
    require_linear(refusing_names, 37_500)


@given(st.text(), st.integers(1, 90))
def test_a_text_in_a_message_is_short_and_printable(text: str, length: int) -> None:
    shown = shorten(text, length)
    assert shown.isprintable()
    assert len(shown) <= 10 * (length + 1) + 2
