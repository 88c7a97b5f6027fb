"""Writes the VO-TAGS of the FITS results that their script did not tag. Imports provenance and its neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from provenance import tagging, votags
from provenance.fits.hdus import holds_fits
from provenance.steps import Step
from provenance.text.errors import ProvenanceError
from uws_server.execution import curation
from uws_server.execution.gather import Noted
from uws_server.execution.job_steps import EndedJob
from uws_server.storage.failures import meaning_of


def producing_job(ended: EndedJob) -> tagging.ProducingJob:
    """Return a job as the rows of its products name it."""
    job = ended.job
    return tagging.ProducingJob(
        job.id, job.definition, job.version, ended.results_url, ended.ended, curation.noted(ended.folder)
    )


def complete(path: Path, job: tagging.ProducingJob, noted: Noted, everything: Sequence[Step]) -> str:
    """Tag a result if it is a FITS file without VO-TAGS.

    Parameters
    ----------
    path
        The result.
    job
        The job that made it.
    noted
        What its script noted of it.
    everything
        The steps that made it.

    Returns
    -------
    str
        The reason why it cannot be tagged; the file is then as it was. Empty where it is tagged, or no FITS file.

    Raises
    ------
    OSError, ProvenanceError
        Where the disk is full.
    """
    if not holds_fits(path):
        return ""
    try:
        if votags.read(path) is None:
            tagging.tag(path, job, noted.columns, everything)
    except (OSError, ProvenanceError) as error:
        if meaning_of(error):
            raise  # the job is registered when there is room
        return str(error)
    return ""
