"""What many tests use: waiting, free ports, reading log lines, running the real thing."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from urllib.error import URLError
from urllib.request import urlopen

import pytest

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[1]
PASSWORD = "correct horse battery"
SECRET_KEY = "a-key-for-tests-that-is-long-enough-0123456789"


def wait_for(predicate: Callable[[], T], timeout: float = 30, message: str = "") -> T:
    """Return the first truthy answer of `predicate`; fail after `timeout` seconds."""
    end = time.monotonic() + timeout
    while True:
        answer = predicate()
        if answer:
            return answer
        if time.monotonic() > end:
            pytest.fail(message or f"still not so after {timeout} s: {predicate}")
        time.sleep(0.02)


def missing(what: str, package: str) -> NoReturn:
    """Skip a test whose server is not installed; in CI that is a failure."""
    text = f"{what} is not installed; on Debian: apt-get install {package}"
    if os.environ.get("CI"):
        pytest.fail(text)
    pytest.skip(text)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the records of one JSON log file; every line must be valid."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def log_lines(app: Any, action: str | None = None) -> list[dict[str, Any]]:
    """Return what the app has written to app.log, oldest first."""
    records = read_lines(Path(app.config["LOG_DIR"]) / "app.log")
    return [one for one in records if action is None or one.get("action") == action]


def login(client: Any, account: Any) -> None:
    """Log an account of the fixtures `user` or `admin` in."""
    answer = client.post("/auth/login", data={"email": account.email, "password": account.password})
    assert answer.status_code == 302, answer.get_data(as_text=True)


def bearer_of(app: Any, email: str, role: str = "user") -> dict[str, str]:
    """Make an account without a password that works, and return its API token as a header."""
    from app import db
    from app.models.user import User
    from app.services.api_token_service import create_token

    with app.app_context():
        user = User(email=email, name="A", password_hash="x", role=role)
        db.session.add(user)
        db.session.commit()
        return {"Authorization": f"Bearer {create_token(user, 'deploy')[1]}"}


@dataclass(frozen=True)
class Account:
    id: int
    email: str
    password: str


@dataclass
class Server:
    """A gunicorn of this application, with its own database, logs and port."""

    url: str
    process: subprocess.Popen[bytes]
    env: dict[str, str]
    log_dir: Path
    folder: Path

    def flask(
        self, *args: str, check: bool = True, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a flask command with this server's settings."""
        return run_flask(self.env, *args, check=check, **options)

    def records(self, action: str | None = None) -> list[dict[str, Any]]:
        """Return the records in all its log segments, oldest first."""
        names = sorted(self.log_dir.glob("app.log.[0-9]*")) + [self.log_dir / "app.log"]
        found = [record for name in names for record in read_lines(name)]
        return [one for one in found if action is None or one.get("action") == action]

    def workers(self) -> list[int]:
        """Return the process ids of the workers."""
        children = children_of(self.process.pid)
        return [pid for pid in children if "scheduler" not in command_of(pid)]

    def stop(self, sig: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            return self.process.wait(timeout=20)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)


def server_env(folder: Path, **extra: str) -> dict[str, str]:
    """Return the settings of an application that lives in `folder`."""
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
    return {
        **kept,
        "APP_ENV": "development",
        "PYTHONUNBUFFERED": "1",
        "SECRET_KEY": SECRET_KEY,
        "DATABASE_URL": f"sqlite:///{folder / 'app.db'}",
        "LOG_DIR": str(folder / "logs"),
        "UPLOAD_FOLDER": str(folder / "uploads"),
        **extra,
    }


def run_flask(
    env: dict[str, str], *args: str, check: bool = True, **options: Any
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flask", "--app", "wsgi", *args]
    done = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, **options
    )
    assert not check or done.returncode == 0, done.stderr + done.stdout
    return done


@contextlib.contextmanager
def serving(
    folder: Path, *, workers: int = 2, env: dict[str, str] | None = None, app: str = "wsgi:app"
) -> Iterator[Server]:
    """Migrate and run gunicorn with the project's own gunicorn.conf.py; stop it in the end."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    settings = server_env(
        folder, **{"PORT": str(port), "WEB_CONCURRENCY": str(workers), **(env or {})}
    )
    run_flask(settings, "db", "upgrade")
    with (folder / "gunicorn.out").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", app],
            cwd=ROOT, env=settings, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    url = f"http://127.0.0.1:{settings['PORT']}"
    server = Server(url, process, settings, Path(settings["LOG_DIR"]), folder)
    try:
        wait_for(
            lambda: process.poll() is not None or answers(f"{url}/health/live"),
            30, f"no answer from {url}",
        )  # fmt: skip
        assert process.poll() is None, (folder / "gunicorn.out").read_text()
        yield server
    finally:
        server.stop()


def answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except (URLError, OSError):
        return False


def children_of(pid: int) -> list[int]:
    """Return the running direct children of a process."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if fields[0] != "Z" and int(fields[1]) == pid:
                found.append(int(entry.name))
    return sorted(found)


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def is_running(pid: int) -> bool:
    """Tell whether a process runs; one that is dead and not yet reaped does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
