import ast
import io
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from flask import Flask

from app.cli.log_asking import FilesCommand, acting, bytes_bar, looking_back
from app.observability.events import record_event
from tests.helpers import log_lines
from tests.log_records import made, put


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@click.command(cls=FilesCommand)
@click.argument("text", required=False)
@click.option("--file", "files", multiple=True)
@click.option("--json", "as_json", is_flag=True)
@click.option("-n", "--limit", type=int)
def ask(**given: Any) -> None:
    click.echo({name: value for name, value in given.items() if value})


@pytest.mark.parametrize(
    ("args", "understood"),
    [
        (["--file", "a", "b", "c"], {"files": ("a", "b", "c")}),
        (["x", "--file", "a", "b", "--json"], {"text": "x", "files": ("a", "b"), "as_json": True}),
        (["--file", "a", "b", "-n", "3"], {"files": ("a", "b"), "limit": 3}),
        (["--file", "a", "-", "--", "x"], {"text": "x", "files": ("a", "-")}),
        (["--file=a", "b", "--file", "c"], {"files": ("a", "b", "c")}),
        (["x", "-n", "3"], {"text": "x", "limit": 3}),
        (["--", "--file"], {"text": "--file"}),
    ],
)
def test_file_takes_all_that_follows_up_to_the_next_option(
    args: list[str], understood: dict[str, Any]
) -> None:
    result = CliRunner().invoke(ask, args)
    assert ast.literal_eval(result.stdout) == understood
    assert result.exit_code == 0


def test_file_needs_a_path() -> None:
    assert CliRunner().invoke(ask, ["--file"]).exit_code == 2


def test_a_terminal_shows_how_far_back_it_was_looked(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, terminal = datetime.now(UTC), Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with app.app_context():
        put(app, made("first", ago=timedelta(hours=10)))
        with looking_back(None) as told:
            assert terminal.getvalue() == ""
            told(now - timedelta(hours=5))
            told(now - timedelta(hours=10))
    assert " 49%" in terminal.getvalue() or " 50%" in terminal.getvalue()
    assert f"{now - timedelta(hours=5):%Y-%m-%d %H:%M}" in terminal.getvalue()
    assert "99%" in terminal.getvalue() or "100%" in terminal.getvalue()


def test_what_is_no_terminal_gets_no_bar(app: Flask, capsys: pytest.CaptureFixture[str]) -> None:
    with looking_back(None) as told, bytes_bar(100, "Reading") as progress:
        told(datetime.now(UTC))
        progress(50)
    assert capsys.readouterr().err == ""


def test_a_command_s_records_say_which_it_is_and_of_whom(app: Flask, tmp_path: Path) -> None:
    with acting("logs export"):
        record_event("logs_exported", "logs exported")
    (line,) = log_lines(app, "logs_exported")
    assert line["details"]["command"] == "logs export"
    assert line["details"]["os_user"]
    assert line["request_id"]
