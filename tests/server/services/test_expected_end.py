"""When a job that runs will probably end, by how far it is: in jobInfo and on its page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from joblab import PARAMETERS, Lab, Remote, define
from processes import until
from uws_server.jobs.estimates import expected_end

START = datetime(2026, 11, 29, 9, 0, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SPACE = "{urn:uws-server:progress}"
SPREAD = {"name": "word", "type": "string", "max_values": 9, "required": True, "spread": True}
STAGES = """
for stage in 1 2 3; do
    echo "[STAGE $stage/4] Working"
    sleep "$seconds"
done
while [ "$gate" ] && [ ! -e "$gate" ]; do sleep 0.05; done
"""
PART = 'sleep "$seconds"\nwhile [ "$word" = last ] && [ ! -e "$gate" ]; do sleep 0.05; done\n'


def test_who_did_a_quarter_in_a_minute_needs_three_more() -> None:
    now = START + 2 * MINUTE
    assert expected_end(START, START + MINUTE, 1, 4, now) == START + 4 * MINUTE
    assert expected_end(START, START + 3 * MINUTE, 3, 4, now) == START + 4 * MINUTE
    assert expected_end(START, START + MINUTE, 0, 4, now) is None, "nothing has been done"
    assert expected_end(START, START + MINUTE, 1, 2, now) is None, "it would have ended"
    assert expected_end(START, START - MINUTE, 1, 4, now) is None, "a clock was set"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path, "")
    define(made.definitions, "stages", STAGES, parameters=PARAMETERS)
    define(made.definitions, "parts", PART, parameters=[SPREAD, *PARAMETERS])
    yield made
    made.close()


def told_end(job: Remote) -> datetime | None:
    """The end that jobInfo gives."""
    found = job.document().find(f".//{SPACE}progress")
    text = None if found is None else found.get("end")
    return None if text is None else datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("name", "words", "factor"), [("stages", [], 4 / 2), ("parts", ["a", "b", "c", "last"], 4 / 3)]
)
def test_end_is_told_from_the_stages_and_parts(lab: Lab, name: str, words: list[str], factor: float) -> None:
    """Two of four stages, and three of four parts, one after the other, have been done."""
    gate = lab.root / "gate"
    with lab.serving(max_running=1, short_places=0) as served:
        job = lab.create(name, PHASE="RUN", seconds=2, gate=str(gate), **({"word": words} if words else {}))

        def is_there() -> bool:
            found = job.document().find(f".//{SPACE}progress")
            return found is not None and found.get("n") == "3"

        until(is_there, what="it has come so far")
        seen = datetime.now(UTC)
        end = told_end(job)
        assert end is not None
        started = datetime.fromisoformat(job.text("startTime"))
        assert end - started == pytest.approx((seen - started) * factor, abs=timedelta(seconds=factor))
        page = requests.get(f"{served.url}/jobs/{job.id}", timeout=300).text
        assert f'<dd id="expected">{end:%Y-%m-%d %H:%M:%S}' in page
        gate.touch()
        assert job.ended() == "COMPLETED"
        assert told_end(job) is None


def test_what_is_known_before_counts_more_than_stages(lab: Lab) -> None:
    """Stages are not alike; what jobs of the definition take is known."""
    control = {"quote": 600, "duration": {"default": 1200, "max": 1200}}
    define(lab.definitions, "known", STAGES, parameters=PARAMETERS, control=control)
    with lab.serving(max_running=1):
        job = lab.create("known", PHASE="RUN", seconds=1, gate=str(lab.root / "gate"))
        until(lambda: (lab.folder(job) / "job.log").exists() and "3/4" in (lab.folder(job) / "job.log").read_text())
        assert job.text("quote")
        assert told_end(job) is None
        (lab.root / "gate").touch()
        assert job.ended() == "COMPLETED"
