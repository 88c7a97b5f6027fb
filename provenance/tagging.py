"""Tags a FITS product of a job: makes its ObsCore row from its headers, its job and what the script knows of it.

The one place that decides what a product's row says, for scripts that tag their products themselves (`reduction.task`)
and for the server, which tags those of all others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from provenance import obscore, votags
from provenance.obscore import ObsCoreRow
from provenance.steps import Step

CURATION: Final = ("publisher_id", "data_rights")
"""Columns of ObsCore whose values the publisher sets for all products."""

COLLECTION: Final = "uws-server"
"""obs_collection of a product whose headers name no telescope."""

CALIB_LEVEL: Final = 2
"""calib_level of a product whose headers tell none: made from calibrated data."""

_NO_JOB: Final = "no-job"


@dataclass(frozen=True)
class ProducingJob:
    """The job that made a product, as far as the product's row tells of it.

    `id` is empty for a script that runs outside a server, `base_url` (below which the products can be fetched) where
    there is no such address; `ended` is an aware time; `curation` holds columns named in `CURATION`.
    """

    id: str
    definition: str
    version: str
    base_url: str
    ended: datetime
    curation: Mapping[str, str] = field(default_factory=dict)

    @property
    def analysis_mode(self) -> str:
        """The definition and its version; empty where neither is known."""
        return f"{self.definition} {self.version}".strip()

    def url_of(self, name: str) -> str | None:
        """The address of a product; None where there is none."""
        return f"{self.base_url.rstrip('/')}/{quote(name)}" if "://" in self.base_url else None


def load() -> None:
    """Load the modules that make the row of a product, which the first product would load."""
    from provenance.obscore import footprint, intervals, ogip  # noqa: F401 - numpy, which who reads rows does not need


def tag(path: Path, job: ProducingJob, known: Mapping[str, Any], steps: Iterable[Step]) -> None:
    """Write the VO-TAGS of a product, gzipped or not.

    Parameters
    ----------
    path
        The FITS file.
    job
        The job that made it.
    known
        Columns of ObsCore that the script knows, by name.
    steps
        The steps that made the file, the earliest first.

    Raises
    ------
    ProvenanceError
        For a column that does not exist, a value that its column may not have, or a file that cannot be tagged.
    OSError
        For a file that cannot be opened.
    """
    votags.write(path, product_row(path, job, known), steps)


def product_row(path: Path, job: ProducingJob, known: Mapping[str, Any]) -> ObsCoreRow:
    """Derive the ObsCore row of a product; no column that must have a value is absent.

    The address of a product and the identifier that the address is are its job's. Of the other columns, those that the
    script knows win over those of the job (creation, reduction, curation), and these over the headers. What a row must
    have and neither tells, the job fills in: its id is then the observation's.

    Parameters
    ----------
    path
        The FITS file, not tagged yet: obs_creation_date is when it was last written.
    job
        The job that made it.
    known
        Columns of ObsCore that the script knows, by name; None is left out.

    Returns
    -------
    ObsCoreRow
        The row, which may still hold a value that its column may not have: `votags.write` refuses it.

    Raises
    ------
    ObsCoreError
        For a column that does not exist, or a value that is neither text nor a number.
    TagsError
        For a file that is no FITS file.
    OSError
        For a file that cannot be opened.
    """
    by_job = {
        "obs_creation_date": _timestamp(datetime.fromtimestamp(path.stat().st_mtime, UTC)),
        "analysis_mode": job.analysis_mode or None,
        **_curated(job),
    }
    url = job.url_of(path.name)
    address = {"access_url": url, "obs_publisher_did": url} if url else {}
    from_script = {name: value for name, value in known.items() if value is not None}
    own_id = f"urn:uws-server:{job.id or _NO_JOB}:{path.name}"
    return obscore.from_file(path, **{**by_job, **from_script, **address}).filled(
        calib_level=CALIB_LEVEL,
        obs_collection=COLLECTION,
        obs_id=job.id or _NO_JOB,
        obs_publisher_did=own_id,
        obs_creator_did=own_id,
    )


def _curated(job: ProducingJob) -> dict[str, str]:
    """The publisher's columns; a public product is released when its job ends (ObsCore 1.1, B.4)."""
    columns = {name: job.curation[name] for name in CURATION if job.curation.get(name)}
    if columns.get("data_rights") == "public":
        columns["obs_release_date"] = _timestamp(job.ended)
    return columns


def _timestamp(when: datetime) -> str:
    """An aware time as ObsCore writes it: UTC, without zone."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
