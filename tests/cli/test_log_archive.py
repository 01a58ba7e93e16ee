import json
import os
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from app.cli.log_archive import archive, verify
from app.extensions import db
from app.logstore.archive import archives
from app.logstore.retention import retention_for
from tests.helpers import log_lines
from tests.log_records import made, put

Run = Callable[..., Result]


@pytest.fixture
def run(app: Flask) -> Run:
    runner = app.test_cli_runner()
    return lambda *args: runner.invoke(args=["logs", *args])


@pytest.fixture
def old(app: Flask) -> list[dict[str, Any]]:
    records = [made(f"old {index}", ago=timedelta(days=40, seconds=index)) for index in range(5)]
    return put(app, *records, made("bad", level="ERROR", ago=timedelta(days=100)), made("new"))


def objects(result: Result) -> dict[str, dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return {one["keep"]: one for one in map(json.loads, result.stdout.splitlines())}


def test_a_dry_run_says_what_would_go_and_does_nothing(
    app: Flask, run: Run, old: list[dict[str, Any]]
) -> None:
    plan = objects(run("archive", "--dry-run", "--json"))
    assert {keep: one["records"] for keep, one in plan.items()} == {
        "debug": 0, "info": 5, "error": 1, "operation": 0,
    }  # fmt: skip
    assert plan["info"]["from"][:16] == old[4]["timestamp"][:16].replace("T", " ")
    assert 0 < plan["error"]["bytes"] < plan["info"]["bytes"] < 2000
    assert archives(Path(app.config["LOG_DIR"])) == []
    assert log_lines(app, "logs_archived") == []
    assert "records" in run("archive", "--dry-run").stdout.splitlines()[0]


def test_what_is_archived_is_gone_sound_and_still_found(
    app: Flask, run: Run, old: list[dict[str, Any]]
) -> None:
    done = objects(run("archive", "--json"))
    assert {keep: one["records"] for keep, one in done.items()} == {
        "debug": 0, "info": 5, "error": 1, "operation": 0,
    }  # fmt: skip
    event = log_lines(app, "logs_purged")[0]
    assert event["details"]["command"] == "logs archive"
    assert event["details"]["os_user"]
    checked = run("verify")
    assert (checked.exit_code, checked.stdout) == (0, "")
    assert checked.stderr == "2 of 2 archives are sound: 6 records.\n"
    paths = [str(path) for path in archives(Path(app.config["LOG_DIR"]))]
    assert "old 3" not in run("search", "old").stdout
    assert "old 3" in run("search", "old", "--file", *paths).stdout


def test_each_broken_archive_is_a_line_and_the_exit_code_says_so(
    app: Flask, run: Run, old: list[dict[str, Any]]
) -> None:
    run("archive")
    first, second = archives(Path(app.config["LOG_DIR"]))
    second.write_bytes(second.read_bytes()[:-4])
    for args in ([], [str(second)], [app.config["LOG_DIR"]]):
        checked = run("verify", *args)
        assert checked.exit_code == 1
        assert re.fullmatch(rf"{re.escape(str(second))}: [^\n]+\n", checked.stdout)
    assert run("verify", str(first)).exit_code == 0
    assert run("verify", "nowhere.ndjson.gz").exit_code == 1


def test_what_stands_in_the_way_is_one_line(
    app: Flask, run: Run, old: list[dict[str, Any]]
) -> None:
    with app.app_context(), retention_for(app)._alone():
        busy = run("archive")
    assert (busy.exit_code, busy.stderr) == (
        1,
        "Error: Another process of this host is archiving.\n",
    )
    with app.app_context():
        db.drop_all("logs")
    for args in ([], ["--dry-run"]):
        away = run("archive", *args)
        assert (away.exit_code, away.stdout) == (1, "")
        assert re.fullmatch(r"Error: [^\n]+flask --app wsgi db upgrade\n", away.stderr)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be the wrong user")
def test_root_makes_no_files_where_the_logs_are_somebody_elses(
    app: Flask, run: Run, old: list[dict[str, Any]]
) -> None:
    log_dir = Path(app.config["LOG_DIR"])
    log_dir.mkdir(exist_ok=True)
    before = sorted(log_dir.iterdir())
    os.chown(log_dir, 65_534, -1)
    refused = run("archive")
    assert refused.exit_code == 1
    assert "run this as that user, not as root" in refused.stderr
    assert run("archive", "--dry-run").exit_code == 0
    assert sorted(log_dir.iterdir()) == before


def test_both_are_commands_of_the_group() -> None:
    assert (archive.name, verify.name) == ("archive", "verify")
