"""A private Slurm cluster for the tests: Debian's daemons on this machine, without systemd, gone when they end.

Neither munge nor a cgroup is needed: `auth/none` believes every caller on 127.0.0.1, and the daemons run as whoever
runs the tests. Each node is a `slurmd` of its own.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ports import free_ports
from processes import carrying, until

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "sinfo")

CONFIGURATION = """
ClusterName=uwstest
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/none
CredType=cred/none
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0,bf_interval=1
ReturnToService=2
EnforcePartLimits=ALL
SlurmdParameters=config_overrides
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
MailProg=/bin/true
SlurmctldTimeout=30
SlurmdTimeout=10
MinJobAge=300
NodeName={nodes} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports} CPUs={cpus} RealMemory=4000 State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES DefMemPerCPU=100 MaxTime=INFINITE State=UP
PartitionName=short Nodes=ALL MaxTime=5 DefMemPerCPU=100 State=UP
PartitionName=down Nodes=ALL State=DOWN
"""


@dataclass
class SlurmCluster:
    """A running cluster: one controller, and the daemons of its nodes by name."""

    folder: Path
    settings: dict[str, str]
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def conf(self) -> Path:
        """The configuration, which SLURM_CONF must name for every client."""
        return self.folder / "slurm.conf"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a client."""
        return {"PATH": path(), "SLURM_CONF": str(self.conf), "SLURM_TIME_FORMAT": "%s"}

    @property
    def nodes(self) -> list[str]:
        """The names of the nodes."""
        return [f"node{number}" for number in range(1, int(self.settings["number"]) + 1)]

    def start_controller(self) -> None:
        """Start the controller, which finds what an earlier one knew."""
        self._start("slurmctld", "slurmctld", "-D")

    def start_node(self, name: str) -> None:
        """Start the daemon of a node."""
        (self.folder / "spool" / name).mkdir(parents=True, exist_ok=True)
        self._start(name, "slurmd", "-D", "-N", name)

    def kill(self, name: str) -> None:
        """End a daemon at once, as a crash would: the controller, or that of a node."""
        daemon = self.daemons.pop(name)
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()

    def stop_controller(self) -> None:
        """End the controller as for maintenance: it writes down what it knows."""
        daemon = self.daemons.pop("slurmctld")
        daemon.terminate()
        daemon.wait()

    def lose_state(self) -> None:
        """Kill the controller and start one that knows of no job."""
        self.kill("slurmctld")
        shutil.rmtree(self.folder / "state")
        (self.folder / "state").mkdir()
        self.start_controller()

    def kill_steps(self) -> None:
        """End what runs the jobs of all nodes."""
        for pid in carrying("SLURM_CONF", str(self.conf)):
            if Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() == "slurmstepd":
                os.kill(pid, signal.SIGKILL)

    @contextmanager
    def full_spool(self, name: str) -> Iterator[None]:
        """Have a node without room in its spool for the time of a block; the test is skipped where that cannot be."""
        self.kill(name)
        spool = self.folder / "spool" / name
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", spool], capture_output=True)
        if done.returncode != 0:
            pytest.skip(f"no small disk can be mounted here: {done.stderr.decode()}")
        try:
            self.start_node(name)
            self.require_up()
            with (spool / "fill").open("wb", buffering=0) as stream, contextlib.suppress(OSError):
                while True:
                    stream.write(bytes(4096))
            yield
        finally:
            self.kill(name)
            subprocess.run(["umount", spool], check=True)

    def stop(self) -> None:
        """End every daemon that was started here."""
        for daemon in self.daemons.values():
            daemon.send_signal(signal.SIGKILL)
        for daemon in self.daemons.values():
            daemon.wait()
        self.daemons.clear()

    def run(self, program: str, *arguments: str, given: str = "", check: bool = True) -> str:
        """What a client of Slurm prints."""
        done = subprocess.run(
            [program, *arguments], input=given, env=self.environment, capture_output=True, text=True, timeout=300
        )
        assert not check or done.returncode == 0, f"{program} {arguments}: {done.stderr}"
        return done.stdout.strip()

    def require_up(self) -> None:
        """Wait until every node can be used."""
        number = len(self.nodes)

        def is_up() -> bool:
            states = self.run("sinfo", "-h", "-p", "debug", "-N", "-o", "%T", check=False).split()
            return sum(state in ("idle", "mixed", "allocated") for state in states) == number

        until(is_up, what=f"{number} nodes of Slurm are up (see {self.folder})", every=0.05)

    def jobs(self) -> dict[str, str]:
        """The state of every job that Slurm knows, by its comment."""
        lines = self.run("squeue", "-h", "-t", "all", "-o", "%T %k").splitlines()
        return {comment: state for state, comment in (line.split(" ", 1) for line in lines)}

    def _start(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.daemons[name] = subprocess.Popen(
                command,
                env=self.environment,
                cwd=self.folder,  # where a daemon that crashes leaves its core
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


def path() -> str:
    """The path of the programs: the daemons are where only root looks for them."""
    return f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


def missing() -> str:
    """What keeps Slurm from being started here; empty where nothing does."""
    lacking = [program for program in PROGRAMS if shutil.which(program, path=path()) is None]
    packages = "install the Debian packages slurmctld, slurmd and slurm-client"
    return f"no {', '.join(lacking)}: {packages}" if lacking else ""


@contextmanager
def running_slurm(number: int = 2, cpus: int = 4, more: str = "", cgroups: str = "") -> Iterator[SlurmCluster]:
    """A cluster of so many nodes for as long as the block lasts; `more` are lines of its configuration, `cgroups` those
    of its `cgroup.conf`.
    """
    folder = Path(tempfile.mkdtemp(prefix="uws-slurm-"))
    folder.chmod(0o755)
    first, *others = free_ports(number + 1)
    settings = {
        "host": socket.gethostname().partition(".")[0],
        "user": pwd.getpwuid(os.geteuid()).pw_name,
        "folder": str(folder),
        "number": str(number),
        "cpus": str(cpus),
        "controller_port": str(first),
        "nodes": f"node[1-{number}]" if number > 1 else "node1",
        "ports": f"[{','.join(map(str, others))}]" if number > 1 else str(others[0]),
    }
    cluster = SlurmCluster(folder, settings)
    (folder / "state").mkdir()
    keys = {line.partition("=")[0] for line in more.splitlines()} - {"PartitionName"}
    lines = [line for line in CONFIGURATION.format(**settings).splitlines() if line.partition("=")[0] not in keys]
    (folder / "cgroup.conf").write_text(cgroups, encoding="utf-8")
    cluster.conf.write_text("\n".join([*lines, *more.splitlines()]) + "\n", encoding="utf-8")
    try:
        cluster.start_controller()
        for name in cluster.nodes:
            cluster.start_node(name)
        cluster.require_up()
        yield cluster
    finally:
        _end_jobs(cluster)
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _end_jobs(cluster: SlurmCluster) -> None:
    """End what still runs, and wait for it: a node that is ended leaves its jobs to themselves."""
    if not {"slurmctld", *cluster.nodes} <= cluster.daemons.keys():
        return
    cluster.run("scancel", "-u", str(os.geteuid()), check=False)
    until(lambda: not cluster.run("squeue", "-h", check=False), what="all jobs of Slurm ended", every=0.05)
