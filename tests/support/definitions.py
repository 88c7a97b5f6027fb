"""Job definitions for tests: strategies that make any sound one, and any package, with hypothesis."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from uws_server.jobs import checks
from uws_server.jobs.definition import (
    FILE_TYPES,
    NUMBER_TYPES,
    PARAMETER_TYPES,
    Contact,
    Control,
    Definition,
    Duration,
    Entry,
    Keep,
    ParameterSpec,
    ResultSpec,
)
from uws_server.jobs.formats import Package
from uws_server.jobs.part import PARTS
from uws_server.jobs.words import control_problem

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
"""Any text at all."""
printable = texts.filter(lambda text: not control_problem(text))
"""Text that the fields of a definition may hold."""
titles = printable.filter(lambda text: bool(text.strip()))
options = titles.map(lambda text: text[:100])
files = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)
media_types = st.sampled_from(["text/plain", "application/fits", "text/csv; charset=UTF-8", "image/svg+xml"])
numbers = st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False)
values = texts | numbers | st.booleans()


def _is_free(name: str) -> bool:
    return name.lower() not in checks.CONTROL_NAMES | checks.RESERVED_RESULTS and not checks.is_reserved(name)


names = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,20}", fullmatch=True).filter(_is_free)
definition_names = st.from_regex(r"[A-Za-z][A-Za-z0-9_.-]{0,20}", fullmatch=True)


@st.composite
def specs(draw: st.DrawFn, name: str) -> ParameterSpec:
    """Any parameter of that name."""
    kind = draw(st.sampled_from(sorted(PARAMETER_TYPES)))
    most = draw(st.sampled_from([1, 1, 1, 3, 1000]))
    several = st.lists(values, max_size=min(3, most)).map(tuple)
    made: dict[str, Any] = {
        "required": draw(st.booleans()),
        "default": draw(st.none() | values | several),
        "max_values": most,
        "max_length": draw(st.integers(1, 4_000_000)),
        "editable": draw(st.booleans()),
    }
    if kind == "string":
        made["pattern"] = draw(st.sampled_from(["", "[0-9]+|é <&>", "a\tb"]))
    for key in ("description", "unit", "ucd", "utype", "xtype", "annotation", "group"):
        made[key] = draw(st.just("") | printable)
    if kind == "choice" or draw(st.integers(0, 5)) == 0:
        made["options"] = tuple(draw(st.lists(options, min_size=1, max_size=3, unique_by=str.lower)))
    if kind in NUMBER_TYPES:
        low, high = sorted([draw(numbers), draw(numbers)])
        made |= {"min": draw(st.sampled_from([None, low])), "max": draw(st.sampled_from([None, high]))}
        made["step"] = draw(st.none() | st.floats(1e-9, 1e9) | st.integers(1, 10))
    if kind in FILE_TYPES:
        made |= {"media_type": draw(st.just("") | media_types), "url": draw(st.just("") | printable)}
    return ParameterSpec(name, kind, **made)


@st.composite
def definitions(draw: st.DrawFn) -> Definition:
    """Any sound definition of a few parameters and results."""
    taken = draw(st.lists(names, max_size=5, unique_by=str.lower))
    count = draw(st.integers(0, len(taken)))
    parameters = tuple(draw(specs(name)) for name in taken[:count])
    results = tuple(
        ResultSpec(name, draw(files), draw(media_types), draw(printable), draw(st.booleans())) for name in taken[count:]
    )
    gather = ""
    if several := [spec for spec in parameters if spec.max_values > 1]:
        spread = replace(draw(st.sampled_from(several)), spread=True, required=True)
        parameters = tuple(spread if spec.name == spread.name else spec for spec in parameters)
        is_free = not any(spec.name.lower() == PARTS for spec in parameters)
        gather = draw(st.sampled_from(["", "gather_all.py", "merge.sh"])) if is_free else ""
        results = tuple(replace(result, gathered=bool(gather) and draw(st.booleans())) for result in results)
    kind = draw(st.sampled_from(["python", "shell"]))
    script = draw(files.filter(lambda name: name.lower() not in ("job.json", "readme.md")))
    longest = draw(st.integers(1, 10**6))
    days = draw(st.integers(0, 400))
    sizes = st.integers(0, 10**15)
    made = Definition(
        name=draw(definition_names),
        version=draw(titles),
        title=draw(titles),
        entry=Entry(kind, script, draw(st.sampled_from(["", "main"])) if kind == "python" else ""),  # type: ignore[arg-type]
        description=draw(printable),
        documentation=draw(st.sampled_from(["", "https://example.org/a?b=c&d=é"])),
        contact=Contact(draw(printable), draw(st.sampled_from(["", "ann@example.org", "é&@x"]))),
        group=draw(printable),
        roles=tuple(draw(st.lists(st.from_regex(r"[a-z][a-z0-9_-]{0,9}", fullmatch=True), max_size=2))),
        parameters=parameters,
        results=results,
        control=Control(
            Duration(draw(st.integers(1, longest)), longest),
            Keep(draw(st.integers(0, days)), days),
            draw(sizes),
            draw(sizes),
            draw(st.integers(1, 1024)),
            partition=draw(st.sampled_from(["", "long.q"])),
            quote=draw(st.integers(0, longest)),
            statuses={str(status): f"{status} <ä> & more" for status in draw(st.sets(st.integers(1, 125), max_size=3))},
            execution=draw(st.sampled_from(["", "local", "slurm"])),
            needs={name: f"No {name} <ä> & more." for name in draw(st.sets(st.sampled_from(["SAS_DIR", "CALDB"])))},
        ),
        test={name: tuple(draw(st.lists(texts, max_size=2))) for name in draw(st.sets(st.sampled_from(taken[:count])))}
        if count
        else {},
        gather=gather,
    )
    assert not checks.problems(made), checks.problems(made)
    return made


packages = st.builds(Package, definitions(), texts | printable, texts | printable)
"""Any sound package; script and README may hold what no XML document can."""
