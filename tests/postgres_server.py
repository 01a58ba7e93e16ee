"""A real PostgreSQL server for tests."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.helpers import free_port, missing


class PostgresServer:
    """A server on a port of its own; `stop` and `start` as often as a test likes."""

    def __init__(self) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        on_path = shutil.which("initdb")
        if not found and not on_path:
            missing("PostgreSQL", "postgresql")
        self._programs = found[-1].parent if found else Path(str(on_path)).parent
        # The server refuses to run as root, and its folder must be its own.
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._as_owner: list[str] = []
        if Path("/proc/self").owner() == "root":
            shutil.chown(self._folder, "postgres")
            self._as_owner = ["runuser", "-u", "postgres", "--"]
        self._port = free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self._port}"
        self._run("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale",
                  "--no-sync")  # fmt: skip

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = (
            f"-c listen_addresses=127.0.0.1 -p {self._port} -k {self._folder} -c fsync=off "
            "-c max_connections=200"
        )
        self._run("pg_ctl", "-w", "-o", options, "-l", str(self._folder / "log"), "start")

    def stop(self) -> None:
        """Stop it as a power cut would."""
        self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    def remove(self) -> None:
        try:
            self.stop()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        data = self._folder / "data"
        # To a file: a server that inherits a pipe would keep it open.
        with (self._folder / "output").open("ab") as output:
            subprocess.run(
                [*self._as_owner, self._programs / program, "-D", data, *arguments],
                check=True, stdout=output, stderr=output, cwd=self._folder,
            )  # fmt: skip
