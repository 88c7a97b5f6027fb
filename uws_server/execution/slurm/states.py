"""What the states of Slurm's jobs mean for a job here. Imports the jobs' values.

The phase comes from the state and from what the supervisor left, never from Slurm's exit code: a job that was cancelled
may have 0, one that ran out of time 0, 9 or 15.
"""

from __future__ import annotations

from dataclasses import replace

from uws_server.execution.slurm.commands import SlurmJob
from uws_server.execution.verdicts import GivenUp
from uws_server.jobs.job import JobError
from uws_server.jobs.phases import Phase

WAITING = frozenset(
    {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD"}
)
"""The states of a job that has no node, or whose node is being made ready."""

RUNNING = frozenset({"RUNNING", "COMPLETING", "SIGNALING", "STAGE_OUT", "STOPPED", "SUSPENDED", "RESIZING"})
"""The states of a job whose supervisor may be there."""

COMPLETING = "COMPLETING"
"""The state of a job that is being cleared away: what ended it is told after that."""

_AGAIN = "run the job again"


def has_ended(job: SlurmJob) -> bool:
    """Return whether a job is over for Slurm; a state of a newer Slurm that is not known here counts as such."""
    return job.state not in WAITING and job.state not in RUNNING


def was_interrupted(job: SlurmJob) -> bool:
    """Return whether Slurm, or somebody by it, ended a job that would have gone on."""
    return has_ended(job) and job.state not in ("COMPLETED", "FAILED")


def ending(job: SlurmJob, has_begun: bool) -> GivenUp:
    """Return how a job ends that Slurm ended, or whose supervisor left no status.

    Parameters
    ----------
    job
        The job as Slurm lists it.
    has_begun
        Whether a supervisor had begun to run it.
    """
    node = f"node {job.node}" if job.node else "a node"
    if not has_begun and (found := _of_one_that_never_ran(job, node)):
        return found
    sentences = {
        "CANCELLED": (Phase.ABORTED, "the job was cancelled on the cluster, not by this server", False),
        "TIMEOUT": (
            Phase.ABORTED,
            "executionDuration: the cluster ended the job, whose time there was over (it runs on while a job "
            "is suspended)",
            False,
        ),
        "DEADLINE": (Phase.ABORTED, "the cluster ended the job, which would have missed its deadline", False),
        "OUT_OF_MEMORY": (
            Phase.ERROR,
            f"the job used more memory than it has on the cluster, and was ended on {node}: choose less data, or ask "
            "who runs the server for a larger control.memory",
            True,
        ),
        "NODE_FAIL": (Phase.ERROR, f"{node} of the cluster failed while the job ran there; {_AGAIN}", False),
        "BOOT_FAIL": (Phase.ERROR, f"{node} of the cluster could not be started; {_AGAIN}", False),
        "PREEMPTED": (Phase.ERROR, f"the cluster ended the job on {node} in favour of another one; {_AGAIN}", False),
        "FAILED": (Phase.ERROR, f"the supervisor of the job was killed on {node} of the cluster; {_AGAIN}", False),
        "COMPLETED": (Phase.ERROR, f"the job ended on {node} of the cluster without a word of how; {_AGAIN}", False),
    }
    unknown = (Phase.ERROR, f"the cluster ended the job on {node} ({job.state}); {_AGAIN}", False)
    phase, sentence, is_fatal = sentences.get(job.state, unknown)
    return GivenUp(phase, JobError(sentence, fatal=is_fatal))


def out_of_memory(job: SlurmJob) -> GivenUp:
    """Return how a job ends that had too much memory, where Slurm says so in its words only, not by the state."""
    return ending(replace(job, state="OUT_OF_MEMORY"), has_begun=True)


def _of_one_that_never_ran(job: SlurmJob, node: str) -> GivenUp | None:
    """How a job ends whose supervisor never began, where its state alone would mislead."""
    if job.state == "CANCELLED" and job.node:  # what a node does that has no room for the script
        why = f"the job was cancelled on {node} of the cluster at its start, by the node itself or by somebody"
        return GivenUp(Phase.ERROR, JobError(f"{why}; {_AGAIN}", fatal=False))
    if job.state not in ("FAILED", "COMPLETED"):
        return None
    if not job.node:
        return GivenUp(Phase.ERROR, JobError(f"no node of the cluster can run the job ({job.reason})", fatal=False))
    why = f"{node} of the cluster could not start the supervisor of the job"
    hint = "who runs the server checks that its folders and its Python are at the same place there"
    return GivenUp(Phase.ERROR, JobError(f"{why}; {hint}", fatal=False))


def requeued() -> GivenUp:
    """Return how a job ends that Slurm put back into its queue: what it did is there, and it never runs twice."""
    why = "the cluster ended the job and put it back into its queue, where a job never runs a second time"
    return GivenUp(Phase.ERROR, JobError(f"{why}; {_AGAIN}", fatal=False))


def forgotten() -> GivenUp:
    """Return how a job ends that Slurm does not know any more and whose supervisor left no status."""
    why = "the cluster does not know the job any more, and its supervisor left no word of how it ended"
    return GivenUp(Phase.ERROR, JobError(f"{why}; {_AGAIN}", fatal=False))


def ended_from_outside() -> GivenUp:
    """Return how a job ends that something else than this server ended, and that Slurm has forgotten."""
    return GivenUp(Phase.ABORTED, JobError("the job was ended on the cluster, not by this server", fatal=False))


def lost(tries: int) -> GivenUp:
    """Return how a job ends that the cluster lost each time that it was submitted."""
    why = f"the cluster took the job {tries} times and knew nothing of it afterwards"
    return GivenUp(Phase.ERROR, JobError(f"{why}; ask who runs the server", fatal=False))


def refused(why: str, options: tuple[str, ...]) -> GivenUp:
    """Return how a job ends that the cluster does not take."""
    asked = [option for option in options if option.startswith(_OF_REFUSALS)]
    told = f" (asked for {', '.join(option.removeprefix('--') for option in asked)})" if asked else ""
    change = "who runs the server can change what is asked for, in [slurm] or in control of the definition"
    return GivenUp(Phase.ERROR, JobError(f"the cluster refused the job: {why}{told}; {change}", fatal=False))


def waiting_note(reason: str) -> str:
    """Return the stage of a job that waits on the cluster."""
    return f"Waiting for the cluster: {reason}" if reason and reason != "None" else "Waiting for the cluster"


_OF_REFUSALS = ("--partition", "--account", "--qos", "--mem", "--cpus-per-task", "--time")
"""The options that tell why a job was refused."""
