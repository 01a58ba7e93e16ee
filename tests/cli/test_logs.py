import contextlib
import gzip
import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from app.cli.logs import POLL_SECONDS, logs
from app.extensions import db
from tests.helpers import ROOT, run_flask, server_env, wait_for
from tests.log_records import failed_request, made, put
from tests.logstore.stores import line, write_lines

Run = Callable[..., Result]
# These two list nothing.
SINCE_COMMANDS = sorted(set(logs.commands) - {"archive", "recount", "verify"})


@pytest.fixture
def run(app: Flask) -> Run:
    runner = app.test_cli_runner()
    return lambda *args: runner.invoke(args=["logs", *args], env={"COLUMNS": "200"})


def objects(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def messages(result: Result) -> list[str]:
    return [one["message"] for one in objects(result)]


def test_tail_shows_the_newest_records_the_newest_last(app: Flask, run: Run) -> None:
    put(app, *(made(f"number {number}") for number in range(5)))
    assert messages(run("tail", "-n", "3", "--json")) == ["number 2", "number 3", "number 4"]


def test_an_object_has_the_names_and_values_of_the_record(app: Flask, run: Run) -> None:
    record = failed_request("r-1")[1]
    put(app, record)
    found = objects(run("tail", "--json"))[0]
    assert {name: found[name] for name in record if name != "timestamp"} == {
        name: value for name, value in record.items() if name != "timestamp"
    }
    assert None not in found.values()


def test_a_line_for_a_person_has_time_level_action_and_what_happened(app: Flask, run: Run) -> None:
    put(app, failed_request("r-1")[2])
    columns = run("tail").stdout.split()
    assert columns[2:] == [
        "INFO", "request", "GET", "/demo/error", "500", "45.5", "ms", "ann@example.com", "[r-1]",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("args", "wanted"),
    [
        (["zebra"], ["a zebra"]),
        (["ZEBRA", "--level", "error"], []),
        (["level:>=warning -action:error"], ["no entry"]),
        (["level:>=warning", "action:error", "--since", "1h", "user:7"], ["KeyError"]),
        (["-n", "9", "--", "-level:info"], ["KeyError", "no entry"]),
        (["status:5xx", "--route", "/demo/error"], ["request"]),
        (["level:info", "--action", "sample"], ["figures"]),
        (["--level", "warning"], ["KeyError", "no entry"]),
        (["--action", "error", "--action", "login_failed"], ["KeyError", "no entry"]),
        (["--route", "/demo/error"], ["about to fail", "KeyError", "request"]),
        (["--user", "7"], ["about to fail", "KeyError", "request"]),
        (["--user", "bob@example.com"], ["no entry"]),
        (["--request", "r-1"], ["about to fail", "KeyError", "request"]),
        (["--status", "5xx"], ["request"]),
        (["--status", "404"], []),
        (["--since", "1h", "-n", "2"], ["no entry", "a zebra"]),
        (["--action", "sample"], ["figures"]),
        ([], ["old", "about to fail", "KeyError", "request", "no entry", "a zebra"]),
    ],
)
def test_search_selects_by_text_and_options(
    app: Flask, run: Run, args: list[str], wanted: list[str]
) -> None:
    put(
        app, made("old", ago=timedelta(days=2)), *failed_request("r-1"),
        made("no entry", action="login_failed", level="WARNING", account="bob@example.com"),
        made("figures", action="sample"), made("a zebra"),
    )  # fmt: skip
    assert messages(run("search", "--json", *args)) == wanted


def test_search_goes_on_past_a_stores_deadline(app: Flask, run: Run) -> None:
    put(app, made("needle"), *(made("hay") for _ in range(3000)))
    app.extensions["log_store"]._deadline = 0
    assert messages(run("search", "needle", "--json")) == ["needle"]


def test_errors_are_summed_up_by_action_type_and_place_most_frequent_first(
    app: Flask, run: Run
) -> None:
    put(app, *failed_request("r-1"), *failed_request("r-2"))
    put(app, made("broken", level="ERROR", ago=timedelta(hours=5)), made("bad", level="ERROR"))
    place = "app/services/item_service.py:42 in create"
    found = objects(run("errors", "--json"))
    assert all(one["last_seen"].endswith("Z") for one in found)
    assert [one["count"] for one in found] == [2, 1]
    assert (found[0]["action"], found[0]["exception_type"], found[0]["place"]) == (
        "/demo/error", "KeyError", place,
    )  # fmt: skip
    assert sum(one["count"] for one in objects(run("errors", "--since", "6h", "--json"))) == 4
    header, first, *_ = run("errors").stdout.splitlines()
    names, values = (re.split(r"\s{2,}", line.strip()) for line in (header, first))
    assert names == ["count", "where", "exception type", "place", "last seen"]
    assert values[:4] == ["2", "/demo/error", "KeyError", place]


def test_errors_are_listed_one_by_one_when_asked(app: Flask, run: Run) -> None:
    put(app, *failed_request("r-1"), made("old", level="ERROR", ago=timedelta(hours=2)))
    assert messages(run("errors", "--list", "--json")) == ["KeyError"]


@pytest.mark.parametrize(
    ("command", "fields"),
    [("slow", {"action": "slow_query", "level": "WARNING", "statement": "SELECT ?"}),
     ("failed-logins", {"action": "login_failed", "level": "WARNING", "account": "a@b.c"})],
)  # fmt: skip
def test_slow_queries_and_failed_logins_are_those_of_the_last_day(
    app: Flask, run: Run, command: str, fields: dict[str, Any]
) -> None:
    put(app, made("old", **fields, ago=timedelta(days=2)), made("new", **fields), made("other"))
    assert messages(run(command, "--json")) == ["new"]
    assert messages(run(command, "--since", "7d", "--json")) == ["old", "new"]


def test_paths_not_found_are_counted_most_frequent_first(app: Flask, run: Run) -> None:
    paths = ["/a", "/b", "/b", "/c\x1b[31m\n"]
    put(app, *(made("request", action="request", status=404, path=path) for path in paths))
    put(app, made("request", action="request", status=200, path="/fine"))
    found = objects(run("not-found", "--json"))
    assert found[0] == {"count": 2, "path": "/b"}
    assert {one["path"] for one in found} == {"/a", "/b", "/c\x1b[31m\n"}
    assert run("not-found").stdout.replace("\n", "").isprintable()


@pytest.mark.parametrize("user", ["7", "ann@example.com"])
def test_all_records_of_one_user_are_found_by_number_and_address(
    app: Flask, run: Run, user: str
) -> None:
    put(app, *failed_request("r-1"), made("another's", user_id="8"))
    assert messages(run("user", user, "--json")) == ["about to fail", "KeyError", "request"]


def test_errors_per_hour_end_with_the_running_hour(app: Flask, run: Run) -> None:
    put(app, made("bad", level="ERROR"), made("worse", level="CRITICAL"), made("fine"))
    found = objects(run("per-hour", "--json"))
    assert (len(found), found[-1]["count"], sum(one["count"] for one in found)) == (24, 2, 2)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:00:00Z", found[-1]["hour"])
    assert objects(run("per-hour", "--since", "1h", "--level", "info", "--json"))[-1]["count"] == 3
    heading, *_, last = run("per-hour", "--since", "2h").stdout.splitlines()
    assert last.split()[2:] == ["2", "#" * 40]
    # Each number stands under the word that says what it is.
    assert heading.index("count") + len("count") == last.index("  #")
    assert heading.endswith("  records of ERROR and above")


def test_hours_without_number_are_refused(run: Run) -> None:
    result = run("per-hour", "--since", "2020-01-01")
    assert (result.exit_code, result.stdout) == (1, "")


@pytest.mark.parametrize("command", sorted(set(SINCE_COMMANDS) - {"per-hour", "user"}))
def test_nothing_found_is_said_apart_from_the_output(run: Run, command: str) -> None:
    result = run(command, "--json")
    assert (result.exit_code, result.stdout) == (0, "")


@pytest.mark.parametrize("command", SINCE_COMMANDS)
def test_each_command_takes_since_json_and_refuses_a_bad_time_in_one_line(
    run: Run, command: str
) -> None:
    user = ["7"] if command == "user" else []
    assert run(command, *user, "--since", "24h", "--json").exit_code == 0
    result = run(command, *user, "--since", "yesterday")
    assert (result.exit_code, result.stdout) == (2, "")
    assert re.fullmatch(r"Error: --since: 'yesterday' is neither [^\n]+\n", result.stderr)


@pytest.mark.parametrize("command", SINCE_COMMANDS)
def test_each_command_asks_files_the_same_as_the_store(
    app: Flask, run: Run, tmp_path: Path, command: str
) -> None:
    records = [
        *failed_request("r-1"), *failed_request("r-2"),
        made("slow", action="slow_query", level="WARNING", statement="SELECT ?", user_id="7"),
        made("no entry", action="login_failed", level="WARNING", account="bob@example.com"),
        made("request", action="request", status=404, path="/a", user_id="7"),
        made("figures", action="sample"), made("a zebra"),
        made("old", ago=timedelta(days=2), level="ERROR", user_id="7"),
    ]  # fmt: skip
    args = [command, *(["7"] if command == "user" else []), "--json"]
    paths = [tmp_path / "x.log", tmp_path / "x.log.000001.gz"]
    write_lines(paths[0], *records[4:])
    paths[1].write_bytes(gzip.compress(b"".join(line(one) for one in records[:5])))
    without = {"source", "seq"}

    def asked(*more: str) -> list[dict[str, Any]]:
        found = [
            {name: value for name, value in one.items() if name not in without}
            for one in objects(run(*args, *more))
        ]
        return sorted(found, key=str) if command == "export" else found

    assert not [one for one in asked() if one.get("count", 1)]
    assert asked("--file", *map(str, paths))
    found = asked("--file", *map(str, paths))
    put(app, *records)
    assert asked() == found


@pytest.mark.parametrize("command", SINCE_COMMANDS)
def test_a_file_that_cannot_be_read_is_one_line_that_names_it(run: Run, command: str) -> None:
    result = run(command, *(["7"] if command == "user" else []), "--file", "no/such.log")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: no/such.log: No such file or directory\n"


def test_standard_input_is_a_file_too(app: Flask) -> None:
    piped = line(made("piped", level="ERROR"))
    for args in (["search", "PIPED"], ["per-hour"], ["errors", "--list"]):
        result = app.test_cli_runner().invoke(args=["logs", *args, "--file", "-"], input=piped)
        assert result.exit_code == 0, result.output
        assert "piped" in result.stdout or result.stdout.split()[-1] == "#" * 40


def test_files_cannot_be_followed(run: Run) -> None:
    result = run("tail", "--follow", "--file", "x")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--follow" in result.stderr


@pytest.mark.parametrize("command", SINCE_COMMANDS)
def test_a_store_without_tables_is_one_line_that_says_what_to_do(
    app: Flask, run: Run, command: str
) -> None:
    with app.app_context():
        db.drop_all("logs")
    result = run(command, *(["7"] if command == "user" else []))
    assert (result.exit_code, result.stdout) == (1, "")
    assert re.fullmatch(r"Error: [^\n]+flask --app wsgi db upgrade\n", result.stderr)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The settings of an application of its own, with its tables."""
    settings = server_env(tmp_path)
    run_flask(settings, "db", "upgrade")
    return settings


@pytest.fixture
def stored(env: dict[str, str], make_app: Callable[..., Flask]) -> Callable[..., Any]:
    """Return a function that puts records into that application's store."""
    app = make_app(DATABASE_URL=env["DATABASE_URL"])
    return lambda *records: put(app, *records)


@pytest.fixture
def start(env: dict[str, str]) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Return a function that starts `flask logs …` as a process of its own."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(*args: str, **options: Any) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "flask", "--app", "wsgi", "logs", *args]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        started.append(subprocess.Popen(command, cwd=ROOT, env=env, **options))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def test_following_shows_what_comes_and_ends_quietly_on_ctrl_c(
    stored: Callable[..., Any], start: Callable[..., subprocess.Popen[bytes]], env: dict[str, str]
) -> None:
    stored(made("before"))
    process = start("tail", "-f", "--json")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["message"] == "before"
    stored(made("first"), made("second"))
    came = [json.loads(process.stdout.readline())["message"] for _ in range(2)]
    assert came == ["first", "second"]
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=POLL_SECONDS + 10)
    assert (process.returncode, rest, errors) == (130, b"", b"")
    assert not (Path(env["LOG_DIR"]) / "runner.json").exists()


def test_a_closed_pipe_ends_the_output_quietly(
    stored: Callable[..., Any], start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    stored(*(made("x" * 500) for _ in range(1000)))
    process = start("search", "-n", "1000")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    process.wait(timeout=10)
    assert process.stderr.read() == b""


def test_a_terminal_gets_colours(
    stored: Callable[..., Any], start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    stored(made("bad", level="ERROR"))
    plain, _ = start("tail").communicate(timeout=20)
    ours, theirs = pty.openpty()
    process = start("tail", stdout=theirs)
    seen = bytearray()
    os.set_blocking(ours, False)

    def whole_line() -> bool:
        with contextlib.suppress(OSError):
            seen.extend(os.read(ours, 10_000))
        return b"\n" in seen

    wait_for(whole_line, timeout=20)
    process.wait(timeout=10)
    os.close(ours)
    os.close(theirs)
    assert b"\x1b" not in plain
    assert b"\x1b[31mERROR" in seen
