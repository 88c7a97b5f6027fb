"""What each state of Slurm's jobs means for a job here: those that no test can bring about at once, too."""

from __future__ import annotations

import pytest

from uws_server.execution.slurm import states
from uws_server.execution.slurm.commands import Refused, SlurmJob, Unreachable
from uws_server.jobs.phases import Phase


@pytest.mark.parametrize(
    ("state", "phase", "fatal", "said"),
    [
        ("CANCELLED", Phase.ABORTED, False, "cancelled on the cluster, not by this server"),
        ("TIMEOUT", Phase.ABORTED, False, "executionDuration"),
        ("DEADLINE", Phase.ABORTED, False, "deadline"),
        ("OUT_OF_MEMORY", Phase.ERROR, True, "more memory than it has"),
        ("NODE_FAIL", Phase.ERROR, False, "node n7 of the cluster failed"),
        ("BOOT_FAIL", Phase.ERROR, False, "could not be started"),
        ("PREEMPTED", Phase.ERROR, False, "in favour of another one"),
        ("FAILED", Phase.ERROR, False, "the supervisor of the job was killed on node n7"),
        ("COMPLETED", Phase.ERROR, False, "without a word of how"),
        ("REVOKED", Phase.ERROR, False, "(REVOKED)"),
    ],
)
def test_end_without_status(state: str, phase: Phase, fatal: bool, said: str) -> None:
    job = SlurmJob(12, state, "None", "n7")
    assert states.has_ended(job)
    found = states.ending(job, has_begun=True)
    assert found.phase is phase
    assert found.error is not None
    assert said in found.error.message
    assert found.error.fatal is fatal


def test_node_that_cannot_start_a_job() -> None:
    """It is the node's fault, not that of a supervisor: who runs the server can mend it."""
    found = states.ending(SlurmJob(12, "FAILED", "NonZeroExitCode", "n7"), has_begun=False)
    assert found.error is not None
    assert "node n7 of the cluster could not start the supervisor" in found.error.message
    nowhere = states.ending(SlurmJob(12, "FAILED", "BadConstraints"), has_begun=False)
    assert nowhere.error is not None
    assert nowhere.error.message == "no node of the cluster can run the job (BadConstraints)"


@pytest.mark.parametrize(
    "state", ["PENDING", "CONFIGURING", "REQUEUED", "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED"]
)
def test_state_of_job_that_goes_on(state: str) -> None:
    assert not states.has_ended(SlurmJob(12, state))


def test_limit_that_may_pass() -> None:
    """A limit of how many jobs an account may submit is waited for; a partition that is not there is not."""
    assert Refused("Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)").may_pass
    assert not Refused("Invalid partition name specified").may_pass
    assert Unreachable("Unable to contact slurm controller (connect failure)").is_undone
    assert not Unreachable("Socket timed out on send/recv operation").is_undone


def test_node_that_cancels_a_job_at_its_start() -> None:
    """A node without room in its spool does; one that is cancelled while it waits has no node."""
    found = states.ending(SlurmJob(12, "CANCELLED", "None", "n7"), has_begun=False)
    assert (found.phase, "cancelled on node n7" in str(found.error)) == (Phase.ERROR, True)
    waited = states.ending(SlurmJob(12, "CANCELLED", "None"), has_begun=False)
    assert (waited.phase, "not by this server" in str(waited.error)) == (Phase.ABORTED, True)
