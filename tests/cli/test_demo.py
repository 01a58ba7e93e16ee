import re
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import select

from app import db
from app.cli.demo import ITEMS, VISITOR, demo
from app.models.item import Item
from tests.helpers import SECRET_KEY, Account, Server, free_port, log_lines


def run(app: Flask, *args: str) -> Result:
    return app.test_cli_runner().invoke(demo, args)


def items(app: Flask) -> list[tuple[str, int]]:
    with app.app_context():
        return [(one.name, one.owner_id) for one in db.session.scalars(select(Item))]


def test_seed_puts_in_items_that_the_first_administrator_owns(
    app: Flask, user: Account, admin: Account
) -> None:
    done = run(app, "seed")
    assert (done.exit_code, done.output) == (0, f"Put in {len(ITEMS)} demo items.\n")
    assert items(app) == [(name, admin.id) for name, *_ in ITEMS]
    assert len(log_lines(app, "item_create")) == len(ITEMS)


def test_seed_does_nothing_to_items_that_are_there_when_asked_so(
    app: Flask, admin: Account
) -> None:
    for count in (1, 1, 2):
        args = ["--if-empty"] if count == 1 else []
        assert run(app, "seed", *args).exit_code == 0
        assert len(items(app)) == count * len(ITEMS)


def test_without_an_account_seed_says_how_to_make_one(app: Flask) -> None:
    done = run(app, "seed")
    assert done.exit_code == 1
    assert done.output == (
        "Error: There is no account yet; try: flask --app wsgi users create you@example.com "
        "--admin\n"
    )


@pytest.mark.parametrize("command", [["seed"], ["traffic"]])
def test_production_is_left_alone(command: list[str], make_app: Callable[..., Flask]) -> None:
    app = make_app(APP_ENV="production", SECRET_KEY=SECRET_KEY)
    done = run(app, *command)
    assert done.exit_code == 1
    assert done.output == ("Error: This is production: demo data has no place among real data.\n")
    assert run(app, "seed", "--if-empty").exit_code == 0
    assert items(app) == []


def test_a_database_without_tables_is_told_with_what_to_do(app: Flask) -> None:
    with app.app_context():
        db.drop_all(None)
    done = run(app, "seed")
    assert done.exit_code == 1
    assert done.output == (
        "Error: The database does not answer or has no tables yet; try: "
        "flask --app wsgi db upgrade\n"
    )


def test_traffic_without_a_server_says_how_to_start_one(app: Flask) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    done = run(app, "traffic", "--url", url)
    assert done.exit_code == 1
    assert done.output == (
        f"Error: Nothing that works answers at {url}; start it with `make run` or give --url.\n"
    )


@pytest.mark.parametrize("bad", [["--seconds", "0"], ["--seconds", "3601"], ["--rate", "51"]])
def test_traffic_is_bounded(app: Flask, bad: list[str]) -> None:
    assert run(app, "traffic", *bad).exit_code == 2


def test_traffic_leaves_something_to_see_on_a_real_server(serve: Callable[..., Server]) -> None:
    server = serve(env={"SLOW_QUERY_MS": "50"})
    said = server.flask("demo", "traffic", "--seconds", "3", "--rate", "20").stdout
    assert re.search(r"^60 requests: \d+ fine, \d+ refused, \d+ failed\.$", said, re.MULTILINE)
    assert said.splitlines()[-1] == f"Read about it at {server.url}/admin/logs"

    records: list[dict[str, Any]] = server.records()
    actions = {one.get("action") for one in records}
    assert actions >= {
        "request", "error", "slow_query", "login", "login_failed", "item_create", "item_update",
        "item_delete",
    }  # fmt: skip
    assert {404, 409, 422, 500} <= {one.get("status") for one in records}
    assert {one["details"]["role"] for one in server.records("register")} == {"user"}
    assert VISITOR in {one.get("account") for one in records if one.get("action") == "login"}

    again = server.flask("demo", "traffic", "--seconds", "1", "--rate", "2").stdout
    assert re.search(r"^2 requests: ", again, re.MULTILINE)
