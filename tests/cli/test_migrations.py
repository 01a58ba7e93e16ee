from pathlib import Path

import pytest
from flask import Flask

from app.cli.migrations import load
from app.extensions import db


def test_its_commands_take_options_and_say_what_is_wrong(app: Flask) -> None:
    runner = app.test_cli_runner()
    shown = runner.invoke(args=["db", "upgrade", "--help"])
    assert (shown.exit_code, "upgrade [OPTIONS] [REVISION]" in shown.output) == (0, True)
    for args in (["heads", "--verbose"], ["stamp", "head"], ["current"]):
        assert runner.invoke(args=["db", *args]).exit_code == 0
    # A revision that there is not, and no option.
    assert runner.invoke(args=["db", "downgrade", "--", "-99"]).exit_code == 1
    for args, said in ((["upgrad"], "No such command"), (["heads", "--loud"], "No such option")):
        wrong = runner.invoke(args=["db", *args])
        assert (wrong.exit_code, said in wrong.output) == (2, True)


def test_its_options_come_from_the_environment_too(
    app: Flask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FLASK_DB_DIRECTORY", str(tmp_path / "missing"))
    # As the flask command says.
    done = app.test_cli_runner().invoke(args=["db", "heads"], auto_envvar_prefix="FLASK")
    assert done.exit_code == 1


def test_what_is_loaded_knows_the_app_and_its_folder(app: Flask) -> None:
    made = load(app)
    assert app.extensions["migrate"].db is db
    assert (Path(made.directory) / "env.py").exists()
