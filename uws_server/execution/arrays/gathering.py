"""What the last script of an array gets: the parts, and the files that they made. Imports its neighbours.

In its folder `parts.json` lists every part, and the parameter `parts` of its `parameters.json` has the files of those
that succeeded, so that its step names them as its inputs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from uws_server.execution import declared
from uws_server.execution.arrays import plan, verdict
from uws_server.execution.arrays.plan import Plan
from uws_server.execution.jobfolder import write_json
from uws_server.jobs.part import PARTS
from uws_server.jobs.phases import Phase

LISTING_FILE = "parts.json"


def listing(folder: Path, planned: Plan) -> list[dict[str, Any]]:
    """Return every part of a job: number, value, what people read for it, phase, sentence, absolute paths of results.

    Only what a part made that is COMPLETED is listed.
    """
    found = []
    for number, given in enumerate(planned.inputs, start=1):
        place = folder / plan.folder_of(number)
        ended = verdict.of_part(place, planned.part, planned.statuses) or verdict.of_unbegun(folder)
        results = [str(path) for path in declared.files(place)] if ended.phase is Phase.COMPLETED else []
        found.append({
            "part": number, "value": given.value, "text": given.text, "phase": ended.phase.value,
            "sentence": ended.sentence, "results": results,
        })  # fmt: skip
    return found


def prepare(folder: Path, planned: Plan) -> Path:
    """Make the folder of the last script, whose parts have ended, and return it."""
    assert planned.gather is not None
    place = folder / plan.GATHERED_FOLDER
    if (place / "launch.json").exists():
        return place
    parts = listing(folder, planned)
    document = json.loads(json.dumps(planned.gather.document))
    files = [(Path(path), f"{planned.url}/{part['part']}/results") for part in parts for path in part["results"]]
    document["parameters"][PARTS] |= {
        "value": [str(path) for path, _ in files],
        "source": [f"{url}/{path.name}" for path, url in files],
    }
    place.mkdir(exist_ok=True)
    write_json(place / LISTING_FILE, {"parts": parts}, settle=lambda _: None)
    plan.prepare(place, plan.Task(document, planned.gather.launch))
    return place
