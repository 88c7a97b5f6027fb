"""A private PostgreSQL cluster for the tests: from Debian's package, without systemd, gone when they end."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg

from ports import free_port

INSTALLED = Path("/usr/lib/postgresql")
USER = "uws"


@dataclass
class Cluster:
    """A running cluster that everybody on this machine may use."""

    programs: Path
    folder: Path
    port: int
    numbers: Iterator[int] = field(default_factory=count)

    def database(self) -> str:
        """The URL of a new, empty database."""
        name = f"test{next(self.numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    @contextmanager
    def lent_database(self) -> Iterator[str]:
        """The URL of a new, empty database, which is gone after the block, whoever is connected to it."""
        url = self.database()
        try:
            yield url
        finally:
            self.execute(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    def url(self, name: str) -> str:
        """The URL of a database."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{name}"

    def execute(self, statement: str) -> None:
        """Execute a statement about databases."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs; what it says is shown when it fails."""
        command = [str(self.programs / program), *arguments]
        done = subprocess.run(as_other_user(command), capture_output=True, text=True, cwd=self.folder, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def empty(url: str) -> None:
    """Remove all rows, in place of making a database anew, which takes half a second.

    To truncate a table costs as much when it is empty, as nearly all of them are.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        looks = [f"(SELECT '{name}' FROM {name} LIMIT 1)" for (name,) in tables if name != "alembic_version"]
        filled = [name for (name,) in connection.execute(" UNION ALL ".join(looks).encode())]
        if filled:  # the tables that refer to them have no rows, or are among them
            connection.execute(f"TRUNCATE {', '.join(filled)} CASCADE".encode())


def as_other_user(command: list[str]) -> list[str]:
    """The command for the user that Debian's package made: PostgreSQL does not run as root."""
    return ["runuser", "-u", "postgres", "--", *command] if os.geteuid() == 0 else command


def programs() -> Path | None:
    """The folder of the newest PostgreSQL that is installed."""
    found = [path for path in INSTALLED.glob("*/bin") if (path / "initdb").exists()]
    return max(found, key=lambda path: float(path.parent.name), default=None)


@contextmanager
def running_cluster(fsync: bool = False) -> Iterator[Cluster]:
    """A cluster for as long as the block lasts; without `fsync` a power cut may cost it all."""
    binaries = programs()
    assert binaries is not None
    folder = Path(tempfile.mkdtemp(prefix="uws-postgres-"))
    port = free_port()
    cluster = Cluster(binaries, folder, port)
    try:
        if os.geteuid() == 0:
            os.chown(folder, pwd.getpwnam("postgres").pw_uid, -1)
        cluster.run("initdb", "-D", f"{folder}/data", "-A", "trust", "-U", USER, "-E", "UTF8", "--no-sync")
        options = f"-p {port} -h 127.0.0.1 -k {folder} -c max_connections=200 -c fsync={fsync}"
        cluster.run("pg_ctl", "-D", f"{folder}/data", "-w", "-l", f"{folder}/log", "-o", options, "start")
        yield cluster
    finally:
        stop = [str(binaries / "pg_ctl"), "-D", f"{folder}/data", "-m", "immediate", "-w", "stop"]
        subprocess.run(as_other_user(stop), capture_output=True, cwd="/", check=False)
        shutil.rmtree(folder, ignore_errors=True)
