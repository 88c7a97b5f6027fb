"""Parameters with several values: from a request to the script, at the values' own addresses, and what is refused."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import requests
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from pyvo.io.uws import parse_job
from vo_models.uws import MultiValuedParameter, Parameters

from growth import Work, require_linear
from serving import running_server
from uws_server.archive.observations import Archive
from uws_server.config import Config
from uws_server.errors import ConfigurationError, InvalidParameters
from uws_server.execution.fetch import Rules
from uws_server.jobs.definition import PARAMETER_TYPES, Definition, Entry, ParameterSpec
from uws_server.jobs.job import ParameterValue
from uws_server.jobs.parameters import TYPES, check_values, texts_of, validate
from uws_server.services.parameters import Outside, ParameterReader, Upload
from uwsjobs import UWS, change, create, define, document, read_schema

PN, MOS = "P0123456701PNS003PIEVLI0000", "P0123456701M1S001MIEVLI0000"
OTHER = "P0765430201PNU002TIEVLI0000"
NO_ARCHIVE = ParameterReader(Archive(None))


def definition(*specs: ParameterSpec, **test: tuple[str, ...]) -> Definition:
    return Definition("several", "1", "Several", Entry("shell", "run.sh"), parameters=specs, test=test)


def accept(spec: ParameterSpec, *texts: str) -> ParameterValue:
    return validate(definition(spec), {spec.name: list(texts)}, TYPES)[spec.name]


def refusal(spec: ParameterSpec, *texts: str) -> str:
    with pytest.raises(InvalidParameters) as caught:
        validate(definition(spec), {spec.name: list(texts)}, TYPES)
    assert [problem.parameter for problem in caught.value.problems] == [spec.name]
    return caught.value.problems[0].message


def spec(type_: str, most: int = 5, **about: Any) -> ParameterSpec:
    return ParameterSpec("p", type_, max_values=most, **about)


# --- values ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "texts",
    [
        ["1", "2", "3"],
        ["1, 2,3"],
        ["1\n2\r\n3\n"],
        ["1", "2,3"],
        ["", "1,", "2", " 3 ", ""],
        ["1 2 3"],
        ["1 2", "3"],
        [" 1  2, 3 "],
    ],
)
def test_numbers_come_in_one_text_or_in_several(texts: list[str]) -> None:
    found = accept(spec("integer"), *texts)
    assert [part.value for part in found.parts] == [1, 2, 3]
    assert (found.text, found.value, found.kind) == ("1\n2\n3", None, "value")
    assert texts_of(found) == ["1", "2", "3"]


def test_an_interval_of_dali_is_two_numbers_and_a_number_keeps_its_unit() -> None:
    assert texts_of(accept(spec("float", 2), "1e-10 6.e-9")) == ["1e-10", "6e-09"]
    assert texts_of(accept(spec("float", 2, unit="keV"), "500 eV, 2 keV")) == ["0.5", "2"]
    assert "'a b' is not a number" in refusal(spec("float", 2), "a b")


def test_one_value_is_a_list_too() -> None:
    assert accept(spec("float", unit="arcmin"), "60 arcsec").parts == (ParameterValue("1", 1.0),)
    assert texts_of(accept(spec("float", most=1), "1")) == ["1"]


def test_each_type_is_cut_as_its_values_allow() -> None:
    options = ("a, b", "a", "c")
    assert texts_of(accept(spec("choice", options=options), "A", "c,a", "a, B")) == ["a", "c", "a", "a, b"]
    assert texts_of(accept(spec("boolean"), "yes,no")) == ["true", "false"]
    assert texts_of(accept(spec("position"), "10, 20\n10:00:00 +20:00:00")) == ["10 20", "150 20"]
    assert texts_of(accept(spec("datetime"), "2026-11-20\nMJD 53000"))[1] == "2003-12-27T00:00:00Z"
    assert len(accept(spec("time_range"), "2026-11-20, 2026-11-21\n2026-11-22/2026-11-23").parts) == 2
    assert texts_of(accept(spec("energy_range", unit="keV"), "0.2,1\n2 10")) == ["0.2 1", "2 10"]


def test_lines_and_commas_belong_to_a_text() -> None:
    found = accept(spec("string"), "one,\ntwo", "three")
    assert [part.value for part in found.parts] == ["one,\ntwo", "three"]
    assert texts_of(found) == ["one,\ntwo", "three"]


def test_names_count_in_any_case_together() -> None:
    found = validate(definition(spec("integer")), {"p": ["1"], "P": ["2", "3"]}, TYPES)["p"]
    assert texts_of(found) == ["1", "2", "3"]


def test_too_many_values_are_counted() -> None:
    assert refusal(spec("integer", 2), "1", "2,3") == "3 values came, at most 2 are allowed"
    assert refusal(spec("string", 2), "a", "b", "c") == "3 values came, at most 2 are allowed"
    assert refusal(spec("integer", 1), "1", "2") == "several values came, one is allowed"
    assert "'1,2' is not a whole number" in refusal(spec("integer", 1), "1,2")
    assert refusal(spec("integer", 3), " , ,") == "' , ,' holds no value"


def test_a_message_tells_the_numbers_of_wrong_values() -> None:
    said = refusal(spec("integer", max=9), "1", "x", "3", "10", "y")
    assert said == "value 2 of 5: 'x' is not a whole number; allowed is 9 or less; wrong too: 4, 5"
    assert refusal(spec("integer", max=9), "x").startswith("'x' is not a whole number")
    assert refusal(spec("string"), "a", "b\0").startswith("value 2 of 2: the control character")


def test_all_are_replaced_and_empty_ones_take_them_back() -> None:
    one = definition(spec("integer", default=(7, 8)))
    before = validate(one, {"p": ["1,2"]}, TYPES)
    assert validate(one, {}, TYPES, before) == before
    assert texts_of(validate(one, {"p": ["3"]}, TYPES, before)["p"]) == ["3"]
    assert texts_of(validate(one, {"p": ["", " "]}, TYPES, before)["p"]) == ["7", "8"]
    assert validate(definition(spec("integer")), {"p": [""]}, TYPES, before) == {}


def test_defaults_and_test_values_are_checked_at_once() -> None:
    bad = definition(
        ParameterSpec("a", "integer", default=7, max=5),
        ParameterSpec("b", "integer", max_values=3, default=(1, "x", 3)),
        ParameterSpec("c", "eventlist", default="input.txt"),
        ParameterSpec("d", "datetime", required=True, default="soon"),
        ParameterSpec("e", "color"),
        ParameterSpec("f", "float", unit="keV", default="1 keV"),
        a=("6",),
        b=("1", "2", "3", "4"),
        c=("one.fits", "two.fits"),
        f=("200 eV",),
    )
    types = {**TYPES, "eventlist": TYPES["string"]}
    assert {problem.parameter: problem.message for problem in check_values(bad, types)} == {
        "parameters[0].default": "'7' is out of range; allowed is 5 or less",
        "parameters[1].default": "value 2 of 3: 'x' is not a whole number",
        "parameters[3].default": "'soon' is not a time; expected is ISO 8601 in UTC such as 2026-11-20T12:00:00Z, "
        "or MJD 53000.5",
        "parameters[4].type": f"unknown type 'color'; known are {', '.join(types)}",
        "test.a": "'6' is out of range; allowed is 5 or less",
        "test.b": "4 values came, at most 3 are allowed",
        "test.c": "2 values came, at most 1 is allowed",
    }


def test_a_file_proposed_by_a_definition_is_no_default() -> None:
    checks = ParameterReader(Archive(None)).checks()
    proposed = ParameterSpec("input", "file", default="input.txt")
    assert validate(definition(proposed), {}, checks) == {}
    needed = "input: a value is needed, since its default cannot be used: 'input.txt' names a file of the archive"
    with pytest.raises(InvalidParameters, match=needed):
        validate(definition(ParameterSpec("input", "file", default="input.txt", required=True)), {}, checks)


@given(st.lists(st.integers(-(10**17), 10**17), min_size=1, max_size=20), st.sampled_from([",", "\n", " , ", ",\n"]))
def test_several_values_come_back(numbers: list[int], between: str) -> None:
    found = accept(spec("integer", 20), between.join(map(str, numbers)))
    assert [part.value for part in found.parts] == numbers
    assert accept(spec("integer", 20), *texts_of(found)) == found
    assert accept(spec("integer", 20), found.text) == found


printable = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")


@given(st.lists(st.text(printable, min_size=1).filter(str.strip), min_size=1))
def test_several_texts_come_back(texts: list[str]) -> None:
    several = spec("string", 1000)
    found = accept(several, *texts)
    assert texts_of(found) == texts
    assert accept(several, *texts_of(found)) == found


@pytest.mark.parametrize("type_", ["integer", "choice", "float", "position", "string", "observation"])
@pytest.mark.parametrize(
    ("again", "count"), [(",", 100_000), ("1,", 50_000), ("x\n", 50_000), ("1 bananana,", 9000), ("1", 100_000)]
)
def test_a_long_list_is_refused_at_once(type_: str, again: str, count: int, tmp_path: Path) -> None:
    checks = ParameterReader(Archive(tmp_path)).checks()
    one = spec(type_, 1000, options=("a",), unit="keV", max_length=1000)
    looked_at = 0

    def look(text: str, about: ParameterSpec) -> ParameterValue:
        nonlocal looked_at
        looked_at += 1
        return checks[type_](text, about)

    def refusing(many: int) -> Work:
        text = again * many

        def refuse() -> None:
            with pytest.raises(InvalidParameters):
                validate(definition(one), {"p": [text]}, {type_: look})

        return refuse

    refusing(count)()
    assert looked_at <= 1, "that there are too many is told before any is looked at, or by the first"
    require_linear(refusing, count // 8)


# --- files, URLs, observations -----------------------------------------------------------------------------


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    for observation, name in (("0123456701", PN), ("0123456701", MOS), ("0765430201", OTHER)):
        folder = tmp_path / "archive" / observation / "pps"
        folder.mkdir(parents=True, exist_ok=True)
        fits.HDUList([fits.PrimaryHDU()]).writeto(folder / f"{name}.FTZ.fits")
        (folder / f"{name}.FTZ.fits").rename(folder / f"{name}.FTZ")
    return Archive(tmp_path / "archive")


def upload(folder: Path, name: str, content: bytes) -> Upload:
    path = folder / f"spool-{len(list(folder.iterdir()))}"
    path.write_bytes(content)
    return Upload(path, name)


def taken(
    reader: ParameterReader,
    one: ParameterSpec,
    values: Mapping[str, Sequence[str]],
    sent: Mapping[str, Upload] | None = None,
) -> tuple[ParameterValue, dict[str, bytes]]:
    """The value of the only parameter, and what lies at which place."""
    found = reader.read(definition(one), values, sent or {})
    placed = {place: path.read_bytes() for place, path in found.placed.items()}
    assert found.size == sum(map(len, placed.values()))
    return found.values[one.name], placed


def test_several_files_of_one_name_each_have_a_place(tmp_path: Path) -> None:
    sent = {
        "p": upload(tmp_path, "a.dat", b"1"),
        "p[2]": upload(tmp_path, "a.dat", b"2"),
        "q": upload(tmp_path, "b", b"3"),
    }
    found, placed = taken(NO_ARCHIVE, spec("file"), {"P": ["", "param:q"]}, sent)
    assert [(part.text, part.value, part.kind) for part in found.parts] == [
        ("b", "inputs/p-b", "upload"),
        ("a.dat", "inputs/p-a.dat", "upload"),
        ("a.dat", "inputs/p-2-a.dat", "upload"),
    ]
    assert placed == {"inputs/p-b": b"3", "inputs/p-a.dat": b"1", "inputs/p-2-a.dat": b"2"}


def test_a_reference_stands_for_all_files_of_its_name_or_for_one(tmp_path: Path) -> None:
    sent = {"f": upload(tmp_path, "a", b"1"), "f[2]": upload(tmp_path, "b", b"2")}
    assert len(taken(NO_ARCHIVE, spec("file"), {"p": ["param:f"]}, sent)[0].parts) == 2
    found, placed = taken(NO_ARCHIVE, spec("file", 1), {"p": ["param:f[2]"]}, sent)
    assert (found.text, placed) == ("b", {"inputs/p-b": b"2"})
    with pytest.raises(InvalidParameters, match="p: several values came, one is allowed"):
        taken(NO_ARCHIVE, spec("file", 1), {"p": ["param:f"]}, sent)
    with pytest.raises(InvalidParameters, match="p: 'a' is there twice"):
        taken(NO_ARCHIVE, spec("file"), {"p": ["param:f", "param:f"]}, sent)


def test_the_text_of_a_file_is_cut_like_any_other(tmp_path: Path) -> None:
    sent = {"p": upload(tmp_path, "list.txt", b"1\r\n2,3\r\n")}
    found, placed = taken(NO_ARCHIVE, spec("integer"), {}, sent)
    assert (texts_of(found), placed) == (["1", "2", "3"], {})


def test_files_uploaded_and_of_the_archive_stand_together(tmp_path: Path, archive: Archive) -> None:
    header = archive.find(PN).path.read_bytes()
    reader, sent = ParameterReader(archive), {"f": upload(tmp_path, "my.fits", header)}
    found, _ = taken(reader, spec("eventlist"), {"p": [f"{MOS}\nparam:f"]}, sent)
    assert [part.kind for part in found.parts] == ["archive", "upload"]
    with pytest.raises(InvalidParameters, match="value 2 of 2: 'x' is not a FITS file"):
        taken(reader, spec("eventlist"), {"p": [PN, "param:f"]}, {"f": upload(tmp_path, "x", b"no FITS")})


def test_an_observation_is_all_its_event_lists(archive: Archive) -> None:
    reader = ParameterReader(archive)
    found, _ = taken(reader, spec("observation", 1), {"p": [" 0123456701 "]})
    assert (found.text, found.value, found.kind) == ("0123456701", None, "archive")
    assert [part.text.rpartition("/")[2] for part in found.parts] == [f"{MOS}.FTZ", f"{PN}.FTZ"]
    assert all(Path(str(part.value)).is_file() for part in found.parts)
    both, _ = taken(reader, spec("observation"), {"p": ["0765430201, 0123456701"]})
    assert texts_of(both) == ["0765430201", "0123456701"]
    assert len(both.parts) == 3
    assert taken(reader, spec("observation"), {"p": texts_of(both)})[0] == both
    one, _ = taken(reader, spec("observation", 1), {"p": [PN]})
    assert one.text == f"0123456701/pps/{PN}.FTZ"
    assert taken(reader, spec("observation", 1), {"p": texts_of(one)})[0] == one


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0123456702", "is neither an observation nor an event list of the archive; did you mean 0123456701?"),
        ("9", "is neither an observation nor an event list of the archive"),
        ("P01", "is neither a file to upload, nor an id or a path below the folder of the archive"),
        (f"0123456701, {PN}", "is there twice"),
        ("a" * 2001, "characters came"),
    ],
)
def test_what_is_no_observation_is_refused(archive: Archive, text: str, said: str) -> None:
    with pytest.raises(InvalidParameters, match=said):
        taken(ParameterReader(archive), spec("observation"), {"p": [text]})


def test_urls_are_fetched_to_places_of_their_own() -> None:
    outside = Outside(rules=Rules(("https",), ("x.org",)))
    begin = "https://x.org/data/"
    found, placed = taken(
        ParameterReader(Archive(None), outside),
        spec("url"),
        {"p": [f"{begin}a%2Fb.fits#x\n{begin}1/a", f"{begin}2/a"]},
    )
    assert [(part.text, part.value, part.kind) for part in found.parts] == [
        (f"{begin}a%2Fb.fits", "inputs/p-b.fits", "url"),
        (f"{begin}1/a", "inputs/p-a", "url"),
        (f"{begin}2/a", "inputs/p-2-a", "url"),
    ]
    assert placed == {}
    assert taken(ParameterReader(Archive(None), outside), spec("url"), {"p": texts_of(found)})[0] == found
    by_id = spec("url", 1, url="https://x.org/get?id=$ID")
    assert taken(ParameterReader(Archive(None), outside), by_id, {"p": ["a&b"]})[0].text == "https://x.org/get?id=a%26b"
    with pytest.raises(InvalidParameters, match=r"p: value 2 of 2: .*: a URL that begins with https"):
        taken(ParameterReader(Archive(None), outside), spec("url"), {"p": ["https://x.org/", "http://x.org/"]})
    with pytest.raises(InvalidParameters, match=r"this server fetches no URL \(its key `url_hosts` is empty\)"):
        taken(NO_ARCHIVE, spec("url"), {"p": ["https://x.org/"]})


def test_every_type_of_the_model_has_its_check() -> None:
    assert set(NO_ARCHIVE.checks()) == set(PARAMETER_TYPES)


@pytest.mark.parametrize("type_", sorted(PARAMETER_TYPES))
@pytest.mark.parametrize(
    ("again", "count"), [("1", 100_000), ("circle(", 15_000), ('{"a":', 20_000), ("1 ", 50_000), ("fk5\n", 25_000)]
)
def test_a_long_text_is_refused_at_once(type_: str, again: str, count: int, tmp_path: Path) -> None:
    reader = ParameterReader(Archive(tmp_path), Outside(rules=Rules(("https",), ("*.x.org",))))
    one = spec(type_, 1, options=("a",), max_length=1000)
    with contextlib.suppress(InvalidParameters):
        reader.read(definition(one), {"p": ["1"]}, {})  # some types import what they need when they are first used

    def refusing(many: int) -> Work:
        text = again * many

        def refuse() -> None:
            with pytest.raises(InvalidParameters) as caught:
                reader.read(definition(one), {"p": [text]}, {})
            assert len(str(caught.value)) < 1000

        return refuse

    require_linear(refusing, count // 8)


def test_a_request_names_few_objects() -> None:
    outside = Outside(resolve=lambda name: (float(len(name)), 0.0))
    names = [f"M {number}" for number in range(20)]
    reader = ParameterReader(Archive(None), outside)
    assert len(taken(reader, spec("position", 100), {"p": ["\n".join(["1 2"] * 50 + names)]})[0].parts) == 70
    with pytest.raises(InvalidParameters, match="p: value 21 of 21: 'M 99' is one name too many: 20 are looked up"):
        taken(ParameterReader(Archive(None), outside), spec("position", 100), {"p": [*names, "M 99"]})


@pytest.mark.parametrize("schemes", ["ftp", "https, file"])
def test_a_scheme_that_is_not_fetched_is_refused_at_the_start(schemes: str) -> None:
    with pytest.raises(ConfigurationError, match="http and https are allowed"):
        Outside.of(Config.of(url_schemes=schemes))


# --- over HTTP ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("definitions")
    parameters = [
        {"name": "bands", "type": "energy_range", "unit": "keV", "max_values": 3, "default": ["0.2 2", "2 10"]},
        {"name": "notes", "type": "string", "max_values": 4},
        {"name": "flags", "type": "choice", "options": ["a", "b", "c"], "max_values": 3},
        {"name": "tables", "type": "file", "max_values": 3},
    ]
    results = [{"name": "result", "file": "result.json", "mime": "application/json"}]
    script = "mkdir -p results; cp parameters.json results/result.json\n"
    define(folder, "several", script, parameters=parameters, results=results)
    with running_server(tmp_path_factory.mktemp("several"), definitions=folder) as served:
        yield served.url


class SeveralParameters(Parameters):
    bands: MultiValuedParameter
    notes: MultiValuedParameter
    flags: MultiValuedParameter


def values(job: str, name: str) -> list[tuple[str | None, str | None]]:
    found = document(job).iterfind(f"{UWS}parameters/{UWS}parameter[@id='{name}']")
    return [(element.get("byReference"), element.text) for element in found]


def test_values_stand_each_in_an_element(server: str, shared: Path) -> None:
    job = create(server, "several")
    assert values(job, "bands") == [(None, "0.2 2"), (None, "2 10")]
    sent = [("bands", "1 2"), ("BANDS", "200 eV 1 keV"), ("notes", "x\ny"), ("notes", "<&>"), ("flags", "a,C")]
    assert requests.post(f"{job}/parameters", data=sent, allow_redirects=False, timeout=300).status_code == 303
    assert values(job, "bands") == [(None, "1 2"), (None, "0.2 1")]
    assert values(job, "notes") == [(None, "x\ny"), (None, "<&>")]
    assert requests.get(f"{job}/parameters/bands", timeout=300).text == "1 2\n0.2 1"
    assert requests.get(f"{job}/parameters/Notes/2", timeout=300).text == "<&>"
    assert requests.get(f"{job}/parameters/flags/2", timeout=300).text == "c"
    read_schema(shared / "schemas", "UWS.xsd").assertValid(document(job))
    content = requests.get(f"{job}/parameters", timeout=300).content
    assert [each.value for each in SeveralParameters.from_xml(content).bands] == ["1 2", "0.2 1"]
    assert len(parse_job(io.BytesIO(requests.get(job, timeout=300).content)).parameters) == 6


def test_who_came_by_a_share_link_gets_addresses_to_go_on_by(server: str) -> None:
    files = [("tables", ("a.fits", b"a")), ("tables", ("b.fits", b"b"))]
    job = requests.post(f"{server}/rest/several", files=files, timeout=300).url
    lines = requests.get(f"{job}/parameters/tables", params={"share": "0a"}, timeout=300).text.split("\n")
    assert lines == [f"{job}/parameters/tables/{number}?share=0a" for number in (1, 2)]
    assert values(job, "tables") == [("true", line.partition("?")[0]) for line in lines]


@pytest.mark.parametrize("number", ["0", "3", "x", "-1", "99999", "1e0", "²"])
def test_a_value_that_is_not_there_is_not_found(server: str, number: str) -> None:
    job = create(server, "several")
    response = requests.get(f"{job}/parameters/bands/{number}", timeout=300)
    assert response.status_code == 404
    assert f"parameter bands of job {job.rpartition('/')[2]} has 2 values, none of number" in response.text
    assert requests.get(f"{job}/parameters/none/1", timeout=300).status_code == 404


def test_put_replaces_all_values(server: str) -> None:
    job = create(server, "several")
    for body, wanted in ((b"1 2\n3 4", ["1 2", "3 4"]), (b"5 6", ["5 6"]), (b"", ["0.2 2", "2 10"])):
        response = requests.put(f"{job}/parameters/bands", data=body, allow_redirects=False, timeout=300)
        assert response.status_code == 303, response.text
        assert requests.get(f"{job}/parameters/bands", timeout=300).text.split("\n") == wanted
    refused = requests.put(f"{job}/parameters/flags", data=b"a,b\nx", allow_redirects=False, timeout=300)
    assert (refused.status_code, refused.text) == (400, "flags: value 3 of 3: 'x' is not one of a, b, c\n")


def test_each_file_has_an_address_and_reaches_the_script(server: str) -> None:
    sent = [("tables", ("a.dat", b"one")), ("tables", ("a.dat", b"two")), ("part", ("c.dat", b"three"))]
    form = {"UPLOAD": "tables,param:part", "notes": ["x", "y"]}
    response = requests.post(f"{server}/rest/several", data=form, files=sent, allow_redirects=False, timeout=300)
    assert response.status_code == 303, response.text
    job = response.headers["Location"]
    found = values(job, "tables")
    assert found == [("true", f"{job}/parameters/tables/{number}") for number in (1, 2, 3)]
    contents = [requests.get(str(address), timeout=300).content for _, address in found]
    assert sorted(contents) == [b"one", b"three", b"two"]
    assert requests.get(f"{job}/parameters/tables", timeout=300).text.split("\n") == [address for _, address in found]
    assert change(f"{job}/phase", PHASE="RUN").status_code == 303
    requests.get(job, params={"WAIT": "20"}, timeout=300)
    requests.get(job, params={"WAIT": "20"}, timeout=300)
    told = requests.get(f"{job}/results/result", timeout=300).json()["parameters"]
    assert told["notes"]["value"] == ["x", "y"]
    assert len(told["tables"]["value"]) == 3
    assert [requests.get(str(address), timeout=300).content for _, address in found] == contents


def test_changed_files_replace_the_old_ones(server: str) -> None:
    job = create(server, "several")
    for contents in ([b"1", b"2", b"3"], [b"4", b"5"]):
        files = [("tables", ("a", content)) for content in contents]
        assert requests.post(f"{job}/parameters", files=files, allow_redirects=False, timeout=300).status_code == 303
        addresses = [str(address) for _, address in values(job, "tables")]
        assert [requests.get(address, timeout=300).content for address in addresses] == contents
    four = [("tables", ("a", b"x"))] * 4
    refused = requests.post(f"{job}/parameters", files=four, allow_redirects=False, timeout=300)
    assert refused.text == "tables: 4 values came, at most 3 are allowed\n"
    assert [requests.get(address, timeout=300).content for address in addresses] == [b"4", b"5"]
    assert isinstance(document(job), etree._Element)
