"""docker-compose.yml on a real engine: `make stack-test`."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.helpers import ROOT, free_port, wait_for
from tests.visitor import Visitor

pytestmark = pytest.mark.stack

SERVICES = ["db", "migrate", "prometheus", "scheduler", "secrets", "web"]
ONE_SHOT = {"migrate", "secrets"}


def compose_command() -> list[str]:
    """Return Compose v2, a part of docker, or v1, a program of its own."""
    done = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    if done.returncode == 0:
        return ["docker", "compose"]
    return [shutil.which("docker-compose") or "docker-compose"]


@dataclass
class Stack:
    """The project of these tests, apart from one that a developer has running."""

    name: str
    web_port: int
    prometheus_port: int
    settings: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    def compose(self, *args: str, check: bool = True) -> str:
        done = subprocess.run(
            [*compose_command(), "-p", self.name, "--env-file", str(self.settings), *args],
            cwd=ROOT, env=self._env(), capture_output=True, text=True, timeout=170, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _env(self) -> dict[str, str]:
        kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        # Compose v1 has no BuildKit of its own, and an engine may lack it.
        return {
            **kept, "PORT": str(self.web_port), "PROMETHEUS_PORT": str(self.prometheus_port),
            "DOCKER_BUILDKIT": "0", "COMPOSE_DOCKER_CLI_BUILD": "0",
        }  # fmt: skip

    def container(self, service: str) -> dict[str, Any]:
        """Return what the engine knows about a service's container."""
        found = subprocess.check_output(
            ["docker", "ps", "-aq", "--filter", f"label=com.docker.compose.project={self.name}",
             "--filter", f"label=com.docker.compose.service={service}"], text=True,
        ).split()  # fmt: skip
        assert len(found) == 1, (service, found)
        known: dict[str, Any] = json.loads(
            subprocess.check_output(["docker", "inspect", found[0]], text=True)
        )[0]
        return known

    def up(self) -> None:
        """Start everything and wait until each service says that it is well."""
        self.compose("up", "-d")
        wait_for(lambda: all(map(self._is_well, SERVICES)), 90, self.compose("ps"))

    def _is_well(self, service: str) -> bool:
        state = self.container(service)["State"]
        if service in ONE_SHOT:
            return bool(state["Status"] == "exited" and state["ExitCode"] == 0)
        health = state.get("Health", {}).get("Status", "healthy")
        return bool(state["Status"] == "running" and health == "healthy")

    def sql(self, statement: str) -> list[list[str]]:
        """Ask the database itself."""
        answer = self.compose(
            "exec", "-T", "db", "psql", "-U", "glasshouse", "-At", "-F", "\t", "-c", statement
        )
        return [line.split("\t") for line in answer.splitlines()]

    def leftovers(self) -> list[str]:
        label = f"label=com.docker.compose.project={self.name}"
        return [
            line
            for kind in (["ps", "-aq"], ["volume", "ls", "-q"], ["network", "ls", "-q"])
            for line in subprocess.check_output(
                ["docker", *kind, "--filter", label], text=True
            ).split()
        ]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    # An empty one: a developer's own .env is not what is tested here.
    settings = tmp_path_factory.mktemp("stack") / "env"
    settings.touch()
    stack = Stack(f"glasshouse-test-{free_port()}", free_port(), free_port(), settings)
    try:
        stack.compose("build", "web")
        stack.up()
        yield stack
    finally:
        stack.compose("down", "-v", "-t", "5", check=False)
    assert stack.leftovers() == []


@pytest.fixture(scope="module")
def password(stack: Stack) -> str:
    """The administrator's, from where its owner reads it."""
    found = re.findall(r"Password, shown only now: (\S+)", stack.compose("logs", "migrate"))
    assert len(found) == 1
    return str(found[0])


@pytest.fixture(scope="module")
def admin(stack: Stack, password: str) -> Visitor:
    return logged_in(stack, password)


def logged_in(stack: Stack, password: str) -> Visitor:
    browser = Visitor(stack.url)
    answer = browser.post("/auth/login", {"email": "admin@example.com", "password": password})
    assert (answer.status, answer.url) == (200, f"{stack.url}/items")
    return browser


def test_everything_comes_up_from_nothing_and_without_settings(stack: Stack) -> None:
    listed = stack.compose("config", "--services").split()
    assert sorted(listed) == SERVICES
    with urlopen(f"{stack.url}/health", timeout=10) as answer:
        assert json.load(answer)["status"] in {"healthy", "warning"}


def test_an_item_that_is_created_is_in_postgresql(stack: Stack, admin: Visitor) -> None:
    answer = admin.send_json("POST", "/api/items", {"name": "Made in a container", "quantity": 3})
    assert answer.status == 201
    found = stack.sql(f"SELECT name, quantity FROM items WHERE id = {answer.json['id']}")
    assert found == [["Made in a container", "3"]]


def test_the_record_of_an_error_reaches_postgresql_and_the_log_page(
    stack: Stack, admin: Visitor
) -> None:
    answer = admin.get("/demo/error")
    request_id = answer.headers["X-Request-ID"]
    assert answer.status == 500
    statement = f"SELECT action, level FROM logs WHERE request_id = '{request_id}' ORDER BY action"
    wait_for(lambda: ["error", "ERROR"] in stack.sql(statement), 15)
    page = admin.get(f"/admin/requests/{request_id}")
    assert page.status == 200
    assert "ZeroDivisionError" in page.text


def test_prometheus_reads_the_metrics_of_web(stack: Stack, admin: Visitor) -> None:
    def ask(path: str) -> Any:
        url = f"http://127.0.0.1:{stack.prometheus_port}/api/v1/{path}"
        with urlopen(url, timeout=5) as answer:
            return json.load(answer)["data"]

    def target_is_up() -> bool:
        targets = ask("targets")["activeTargets"]
        health = {one["labels"]["job"]: one["health"] for one in targets}
        return health == {"glasshouse": "up", "prometheus": "up"}

    wait_for(target_is_up, 30)
    # The administrator's log-in has left some.
    wait_for(lambda: ask("query?query=log_records_total")["result"], 15)


def test_the_application_runs_as_an_ordinary_user_that_owns_its_folders(stack: Stack) -> None:
    for service in ("web", "scheduler"):
        known = stack.container(service)
        assert known["Config"]["User"] == "app"
        assert known["HostConfig"]["ReadonlyRootfs"]
        ids = stack.compose("exec", "-T", service, "sh", "-c", "id -u; stat -c %u logs uploads")
        assert ids.split() == ["10001", "10001", "10001"]
    writable = (
        'for f in logs uploads instance /tmp; do touch "$f/x" && rm "$f/x"; done; ! touch app/x'
    )
    stack.compose("exec", "-T", "web", "sh", "-ec", writable)


def test_one_runner_serves_both_and_it_is_the_service(stack: Stack) -> None:
    status = json.loads(stack.compose("exec", "-T", "web", "cat", "logs/runner.json"))
    processes = stack.compose("exec", "-T", "scheduler", "sh", "-c", "cat /proc/[0-9]*/cmdline")
    assert "scheduler" in processes
    assert status["store_error"] is None
    names = stack.compose("exec", "-T", "web", "sh", "-c", "cat /proc/[0-9]*/cmdline")
    assert "scheduler\0run" not in names


def test_no_secret_stands_in_the_configuration_or_the_environment(stack: Stack) -> None:
    secret = stack.compose("exec", "-T", "web", "cat", "secrets/db_password")
    assert len(secret) > 30
    assert secret not in stack.compose("config")
    for service in ("web", "db"):
        assert secret not in json.dumps(stack.container(service)["Config"]["Env"])


def test_traffic_can_be_made_inside(stack: Stack) -> None:
    flask = ("exec", "-T", "web", "flask", "--app", "wsgi")
    said = stack.compose(*flask, "demo", "traffic", "--seconds", "2", "--rate", "5")
    assert re.search(r"^10 requests: ", said, re.MULTILINE)


def test_a_restart_keeps_the_data_and_makes_no_second_administrator(
    stack: Stack, password: str
) -> None:
    counts = "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM items)"
    before = stack.sql(counts)
    stack.compose("down", "-t", "10")
    stack.up()
    assert stack.sql(counts) == before
    assert "Password" not in stack.compose("logs", "migrate")
    assert logged_in(stack, password).get("/admin/logs").status == 200
