import threading
from pathlib import Path

import pytest
from flask import Flask

from app.cli import GROUPS
from app.scheduler.status import read_status


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_each_group_of_commands_is_there_and_starts_nothing(app: Flask, group: object) -> None:
    name = getattr(group, "name", "")
    before = set(threading.enumerate())
    result = app.test_cli_runner().invoke(args=[name, "--help"])
    assert result.exit_code == 0
    assert set(threading.enumerate()) <= before


def test_asking_the_log_starts_no_runner(app: Flask) -> None:
    assert app.test_cli_runner().invoke(args=["logs", "tail"]).exit_code == 0
    assert read_status(Path(app.config["LOG_DIR"])) is None
