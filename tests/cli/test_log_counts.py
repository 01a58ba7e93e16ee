import json

from flask import Flask

from app.cli.log_counts import recount
from app.cli.logs import logs
from app.logstore.counts import Key
from tests.log_records import made, put


def test_wrong_counts_are_told_and_corrected(app: Flask) -> None:
    put(app, made("one"), made("two", level="ERROR"))
    run = app.test_cli_runner().invoke
    assert logs.commands["recount"] is recount
    good = run(args=["logs", "recount", "--check"])
    assert (good.exit_code, good.stdout) == (
        0, "2 records counted anew; 0 counts are wrong.\n",
    )  # fmt: skip
    store = app.extensions["log_store"]

    def spoil(counts: object) -> None:
        found: list[Key] = [key for key, _ in counts.stored(0, 2**40)]  # type: ignore[attr-defined]
        counts.add({found[0]: 5})  # type: ignore[attr-defined]

    with app.app_context():
        store.with_counts(spoil, change=True)
    bad = run(args=["logs", "recount", "--check", "--json"])
    assert bad.exit_code == 1
    assert json.loads(bad.stdout) == {"records": 2, "wrong": 1, "corrected": False}
    said = run(args=["logs", "recount"])
    assert said.stdout == "2 records counted anew; 1 counts were wrong and are corrected.\n"
    assert run(args=["logs", "recount", "--check"]).exit_code == 0
