"""Servers that go away for a moment, and come back."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg

from tests.helpers import wait_for
from tests.mongo_server import MongoServer


def of_postgres(server: str) -> Callable[[], None]:
    """Return what stops and starts the PostgreSQL at an address."""
    with psycopg.connect(f"{server}/postgres") as connection:
        row = connection.execute("SHOW data_directory").fetchone()
    data = Path(str(row and row[0]))
    command = (data / "postmaster.opts").read_text().strip()
    as_owner = ["runuser", "-u", data.owner(), "--"] if Path("/proc/self").owner() == "root" else []

    def outage() -> None:
        control = [*as_owner, Path(command.split()[0]).with_name("pg_ctl"), "-D", data]
        subprocess.run([*control, "-m", "immediate", "-w", "stop"], check=True, capture_output=True)
        with (data.parent / "log").open("ab") as log:
            subprocess.Popen(
                [*as_owner, "sh", "-c", f"exec {command}"], cwd=data.parent,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        wait_for(lambda: _answers(server), 60)

    return outage


def of_mongo(server: MongoServer) -> Callable[[], None]:
    """Return what stops and starts a MongoDB."""

    def outage() -> None:
        server.stop()
        server.start()

    return outage


def _answers(server: str) -> bool:
    try:
        psycopg.connect(f"{server}/postgres").close()
    except psycopg.OperationalError:
        return False
    return True
