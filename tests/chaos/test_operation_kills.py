"""kill -9 at the worst moments of an operation: no change without its record, no record without."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import ROOT, read_lines, run_flask, server_env

PROGRAM = """
import os, signal, sys
from app import create_app, db
from app.models.rate_limit import RateLimit
from app.models.types import utc_now
from app.observability import operations

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

app = create_app()
with app.app_context():
    moment = sys.argv[1]
    if moment == "after_commit":
        operations._publish = die
    with operations.operation("item_sell", target_id=42):
        db.session.add(RateLimit(key="sold", hits=1, expires_at=utc_now()))
        db.session.flush()
        if moment == "before_commit":
            die()
        if moment == "in_commit":
            db.event.listen(db.engine, "commit", die)
        if moment == "exception":
            raise LookupError
"""


def run(folder: Path, database_url: str, moment: str) -> tuple[int, dict[str, str]]:
    env = server_env(folder, DATABASE_URL=database_url, PYTHONPATH=str(ROOT))
    run_flask(env, "db", "upgrade")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, moment], cwd=ROOT, env=env, capture_output=True, timeout=60
    )
    return done.returncode, env


def state(database_url: str, log_dir: Path) -> tuple[int, list[str], list[str]]:
    """Return the number of changes, the outbox's ids and the ids of success lines."""
    from sqlalchemy import create_engine, text

    engine = create_engine(database_url)
    with engine.connect() as connection:
        changes = connection.execute(text("SELECT count(*) FROM rate_limits")).scalar_one()
        waiting = [
            json.loads(record)
            for record in connection.execute(text("SELECT record FROM outbox")).scalars()
        ]
    engine.dispose()
    assert all(one["action"] == "item_sell" for one in waiting)
    lines = [one for one in read_lines(log_dir / "app.log") if one.get("action") == "item_sell"]
    told = [one["id"] for one in lines if one["outcome"] == "success"]
    return changes, [one["id"] for one in waiting], told


@pytest.mark.parametrize(
    ("moment", "status", "changes"),
    [("after_commit", -9, 1), ("before_commit", -9, 0), ("in_commit", -9, 0), ("exception", 1, 0),
     ("none", 0, 1)],
)  # fmt: skip
def test_a_change_and_its_record_are_there_together_or_not_at_all(
    tmp_path: Path, database_url: str, moment: str, status: int, changes: int
) -> None:
    returned, env = run(tmp_path, database_url, moment)
    assert returned == status
    found, waiting, told = state(database_url, Path(env["LOG_DIR"]))
    assert (found, len(waiting)) == (changes, changes)
    # The line comes after the commit, with the same id; a kill in between leaves the outbox.
    assert told == (waiting if moment == "none" else [])
