"""Reads the ObsCore row of a result from the VO-TAGS of its file. Imports provenance, the values and storage."""

from __future__ import annotations

import json
import stat
from collections.abc import Sequence
from pathlib import Path

from provenance import votags
from provenance.text.errors import ProvenanceError
from uws_server.jobs.job import Result
from uws_server.storage.obscore_rows import KeptRow


def rows_of(folder: Path, found: Sequence[Result]) -> list[KeptRow]:
    """Return the rows of the FITS results in a job's folder."""
    rows = (read_row(folder / result.file, result.id) for result in found)
    return [row for row in rows if row is not None and row.row]


def read_row(path: Path, result_id: str) -> KeptRow | None:
    """Return the row in the VO-TAGS of a file, '' if there are none that can be read; None if it is no plain file."""
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            return None
        row = votags.read_row(path)
    except ProvenanceError:
        row = None
    except OSError:
        return None
    text = json.dumps(dict(row), separators=(",", ":")) if row else ""
    return KeptRow(result_id, status.st_size, status.st_mtime_ns, text)
