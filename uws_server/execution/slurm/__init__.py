"""Jobs on a cluster: Slurm gives each one a node, where the same supervisor runs it as on this machine.

Slurm's plain commands are used instead of psij-python (0.9.11): that takes a job which Slurm does not list any more for
COMPLETED, has one state FAILED for TIMEOUT, NODE_FAIL and PREEMPTED, stops at a reason that it does not know, waits for
sbatch without a limit, and has neither a mark by which a lost submission is found again nor signals.
"""
