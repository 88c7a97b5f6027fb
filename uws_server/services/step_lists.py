"""The step list that a job's script left in its folder. Imports storage and provenance."""

from __future__ import annotations

from provenance.text.jsontext import MAX_BYTES
from uws_server.storage.files import STEPS_FILE, JobFiles


def read(files: JobFiles, job_id: str) -> bytes:
    """Return the step list of a job, as JSON that nobody has checked yet. Raise OSError if there is no such file.

    A longer file is cut at MAX_BYTES + 1, so that the parser reports it as too long.
    """
    return files.read(job_id, STEPS_FILE, MAX_BYTES + 1)
