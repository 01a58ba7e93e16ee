"""`make run`, really run: in a copy of this project, with its packages lent to the copy."""

import contextlib
import os
import pwd
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import ROOT, answers, free_port, wait_for
from tests.visitor import Visitor

LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".env", "instance", "logs", "tests", "docs", "__pycache__", ".*_cache",
    ".hypothesis",
)  # fmt: skip
OLD = "import sys; sys.version_info = (3, 9, 18, 'final', 0)"
NO_VENV = "import sys; sys.modules['ensurepip'] = None"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    shutil.copytree(ROOT, tmp_path / "project", ignore=LEFT_OUT)
    return tmp_path / "project"


@pytest.fixture
def environ(tree: Path) -> dict[str, str]:
    """The environment of somebody who types `make run`; nothing else listens on its port."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "PYTHON": sys.executable, "PORT": str(free_port())}


def make_run(tree: Path, environ: dict[str, str], **options: Any) -> tuple[int, str, str]:
    """Return exit code, output and errors; what wrongly starts and stays is ended."""
    process = subprocess.Popen(
        ["make", "run"], cwd=tree, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True, **options,
    )  # fmt: skip
    try:
        output, errors = process.communicate(timeout=60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return process.returncode, output, errors


def refusal(tree: Path, environ: dict[str, str], **options: Any) -> str:
    """Return the one line that `make run` says; it must have changed nothing."""
    before = files(tree)
    code, output, errors = make_run(tree, environ, **options)
    assert code != 0
    assert files(tree) == before
    lines = [line for line in errors.splitlines() if not line.startswith("make")]
    assert len(lines) == 1, errors + output
    name, _, text = lines[0].partition(": ")
    assert (name, output) == ("glasshouse", "")
    return text


def files(tree: Path) -> dict[str, float]:
    return {str(path): path.lstat().st_mtime for path in tree.rglob("*")}


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        yield busy.getsockname()[1]


def test_a_taken_port_is_named_with_another_to_choose(
    tree: Path, environ: dict[str, str], taken_port: int
) -> None:
    text = refusal(tree, {**environ, "PORT": str(taken_port)})
    assert text == (
        f"Port {taken_port} is taken: stop what runs there or choose another: "
        f"PORT={taken_port + 1} make run"
    )


@pytest.mark.parametrize("line", ["PORT={}", "export PORT = '{}'  # ours", 'PORT="{}"'])
def test_a_taken_port_that_the_settings_file_names_is_found_too(
    tree: Path, environ: dict[str, str], taken_port: int, line: str
) -> None:
    (tree / ".env").write_text("#PORT=1\nSMTP_PORT=2\n" + line.format(taken_port) + "\n")
    del environ["PORT"]
    assert refusal(tree, environ).startswith(f"Port {taken_port} is taken")


@pytest.mark.parametrize("port", ["0", "65536", "eighty", "-1"])
def test_a_port_that_is_none_is_refused(tree: Path, environ: dict[str, str], port: str) -> None:
    text = refusal(tree, {**environ, "PORT": port})
    assert text == f"PORT: '{port}' is not a port, 1 to 65535; for example: PORT=8001 make run"


def changed_python(folder: Path, code: str, environ: dict[str, str]) -> dict[str, str]:
    """Let every Python that starts run `code` first: this machine's may be all new and whole."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(code)
    return {**environ, "PYTHONPATH": str(folder)}


def test_an_old_python_is_named_with_what_to_do(
    tree: Path, tmp_path: Path, environ: dict[str, str]
) -> None:
    old = changed_python(tmp_path / "old", OLD, environ)
    advice = (
        "Install one (Debian, Ubuntu: sudo apt install python3 python3-venv) or name yours: "
        "PYTHON=/path/to/python3.12 make run"
    )
    needed = "Python 3.11 or newer is needed; "
    assert refusal(tree, old) == f"{needed}{sys.executable} is 3.9.18. {advice}"
    assert (
        refusal(tree, {**old, "PYTHON": "no-python"}) == f"{needed}there is no no-python. {advice}"
    )
    del old["PYTHON"]
    assert refusal(tree, old) == f"{needed}python3 is 3.9.18. {advice}"


def test_a_missing_venv_module_is_named_with_its_package(
    tree: Path, tmp_path: Path, environ: dict[str, str]
) -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    text = refusal(tree, changed_python(tmp_path / "bare", NO_VENV, environ))
    assert text == (
        f"The venv module of {sys.executable} is missing: install it (Debian, Ubuntu: "
        f"sudo apt install python{version}-venv), then run this again."
    )


@pytest.mark.parametrize("place", [".", "instance", "instance/app.db", "logs"])
def test_a_place_that_cannot_be_written_is_named_with_what_to_do(
    tree: Path, environ: dict[str, str], place: str
) -> None:
    # Root may write everywhere, and nobody else may look into pytest's own folders.
    with tempfile.TemporaryDirectory() as name:
        project = Path(name) / "project"
        shutil.copytree(tree, project)
        target = project / place
        (target if target.suffix == "" else target.parent).mkdir(exist_ok=True)
        if target.suffix:
            target.touch()
        for path in (Path(name), *project.rglob("*"), project):
            path.chmod(0o777)
        target.chmod(0o555)
        other = {"user": 65534, "group": 65534, "extra_groups": []} if os.getuid() == 0 else {}
        text = refusal(project, environ, **other)
        target.chmod(0o777)
    who = pwd.getpwuid(65534 if other else os.getuid()).pw_name
    assert text == (
        f"Cannot write to {target}: make it yours (sudo chown -R {who} '{project}') "
        "or copy the project to a folder of your own."
    )


class Running:
    """A `make run` at work, in a process group of its own as in a terminal."""

    def __init__(self, tree: Path, environ: dict[str, str]) -> None:
        self.url = f"http://127.0.0.1:{environ['PORT']}"
        self.tree = tree
        self._output = (tree.parent / f"output-{free_port()}").open("w+")
        self._process = subprocess.Popen(
            ["make", "run"], cwd=tree, env=environ, stdout=self._output,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def wait(self) -> None:
        ended = self._process.poll
        wait_for(
            lambda: ended() is not None or answers(f"{self.url}/health/live"), 60, self.output()
        )
        assert ended() is None, self.output()

    def output(self) -> str:
        return Path(self._output.name).read_text()

    def processes(self) -> list[int]:
        """Return everything that works in the copy, whoever started it."""
        found = []
        for entry in Path("/proc").glob("[0-9]*/cwd"):
            try:
                if entry.readlink() == self.tree:
                    found.append(int(entry.parent.name))
            except OSError:
                continue
        return found

    def press_ctrl_c(self) -> None:
        os.killpg(self._process.pid, signal.SIGINT)
        self._process.wait(timeout=30)

    def end(self) -> None:
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        self._process.wait(timeout=30)
        self._output.close()


@pytest.fixture
def lent_packages(tree: Path) -> None:
    """Make a .venv that finds the packages of this one: pip has nothing to fetch."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tree / ".venv"], check=True)
    site = next((tree / ".venv" / "lib").glob("python*/site-packages"))
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")


def rows(tree: Path, table: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(tree / "instance" / "app.db")) as database:
        return database.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()


@pytest.mark.usefixtures("lent_packages")
def test_the_first_run_sets_all_up_ctrl_c_ends_all_and_the_second_run_changes_nothing(
    tree: Path, environ: dict[str, str]
) -> None:
    first = Running(tree, environ)
    try:
        first.wait()
        password = re.search(r"^Password, shown only now: (\S+)$", first.output(), re.MULTILINE)
        assert password, first.output()
        assert f"Glasshouse is at {first.url} " in first.output()
        browser = Visitor(first.url)
        fields = {"email": "admin@example.com", "password": password[1]}
        assert browser.post("/auth/login", fields).url != f"{first.url}/auth/login"
        assert browser.get("/admin/logs").status == 200
        people, items = rows(tree, "users"), rows(tree, "items")
        assert len(people) == 1
        assert items
        # make, gunicorn, two workers and the runner.
        wait_for(lambda: len(first.processes()) >= 5)
        first.press_ctrl_c()
        wait_for(lambda: not first.processes(), 15, "something still runs")
    finally:
        first.end()

    for path in [tree / "instance", tree / "logs", *(tree / "instance").glob("*.db")]:
        assert password[1].encode() not in (path.read_bytes() if path.is_file() else b"")
    packages = (tree / ".venv" / ".installed-run").stat().st_mtime_ns
    second = Running(tree, environ)
    try:
        second.wait()
        assert "assword" not in second.output()
        assert "Installing" not in second.output()
        second.press_ctrl_c()
    finally:
        second.end()
    assert (rows(tree, "users"), rows(tree, "items")) == (people, items)
    assert (tree / ".venv" / ".installed-run").stat().st_mtime_ns == packages


def test_an_installation_that_was_killed_is_begun_anew(tree: Path, environ: dict[str, str]) -> None:
    # Nothing to install keeps the network out; making .venv is enough to be killed in.
    (tree / "requirements.txt").write_text("# nothing\n")
    venv = tree / ".venv"
    setup = subprocess.Popen(
        ["sh", "dev/setup"], cwd=tree, env=environ, start_new_session=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    wait_for((venv / "bin" / "python").exists, 30)
    os.killpg(setup.pid, signal.SIGKILL)
    setup.wait(timeout=10)
    assert not (venv / ".installed-run").exists()
    (venv / "lib").rename(venv / "half")

    subprocess.run(["sh", "dev/setup"], cwd=tree, env=environ, check=True, timeout=60)

    assert (venv / ".installed-run").exists()
    assert not (venv / ".unfinished").exists()
    subprocess.run([venv / "bin" / "python", "-m", "pip", "--version"], check=True)
