import json
import re
from collections.abc import Callable

import pytest
from click.testing import Result
from flask import Flask

from app.cli.tokens import tokens
from app.extensions import db
from app.models.user import User
from app.services.api_token_service import BadToken, list_tokens, use_token
from tests.helpers import log_lines

EMAIL = "ann@example.com"
Run = Callable[..., Result]


@pytest.fixture
def run(app: Flask) -> Run:
    with app.app_context():
        for email in (EMAIL, "bob@example.com"):
            db.session.add(User(email=email, name="A", password_hash="x"))
        db.session.commit()
    return lambda *args: app.test_cli_runner().invoke(tokens, args)


def test_a_token_is_made_shown_once_listed_and_ended(run: Run, app: Flask) -> None:
    made = run("create", EMAIL.upper(), "--name", "deploy", "--days", "30")
    found = re.fullmatch(
        r"Made the token 1, deploy, of ann@example\.com\.\nToken, shown only now: (gh_\S{43})\n",
        made.output,
    )
    assert found, made.output
    with app.app_context():
        assert use_token(found[1], None).user.email == EMAIL
    run("create", "bob@example.com", "--name", "backup")

    listed = [json.loads(line) for line in run("list", "--json").output.splitlines()]
    assert [(one["id"], one["account"], one["name"]) for one in listed] == [
        (2, "bob@example.com", "backup"), (1, EMAIL, "deploy"),
    ]  # fmt: skip
    assert {"prefix", "created_at", "last_used_at", "expires_at"} <= set(listed[1])
    assert "expires_at" not in listed[0]
    assert "deploy" in run("list", EMAIL).output
    assert "backup" not in run("list", EMAIL).output

    assert run("revoke", "1").output == "The token 1, deploy, is revoked.\n"
    with app.app_context(), pytest.raises(BadToken):
        use_token(found[1], None)
    assert found[1] not in str(log_lines(app))
    assert [one["details"]["via"] for one in log_lines(app, "token_revoked")] == ["command"]
    assert run("list", EMAIL).output == "There are no tokens.\n"


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["create", "no@example.com", "--name", "x"], 1, "Error: email: No such account."),
        (["create", EMAIL, "--name", " "], 1, "Error: name: Enter a name."),
        (["create", EMAIL, "--name", "x", "--days", "0"], 1, "Error: days: Use a whole number"),
        (["create", EMAIL], 2, "Missing option '--name'"),
        (["list", "no@example.com"], 1, "Error: email: No such account."),
        (["revoke", "7"], 1, "Error: There is no such token."),
        (["revoke", "99999999999999999999"], 1, "Error: There is no such token."),
    ],
)
def test_what_is_refused_is_one_line(
    run: Run, app: Flask, args: list[str], code: int, said: str
) -> None:
    result = run(*args)
    assert (result.exit_code, said in result.output) == (code, True), result.output
    with app.app_context():
        assert list_tokens() == []
