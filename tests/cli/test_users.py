import re
from collections.abc import Callable

import pytest
from click.testing import Result
from flask import Flask

from app.cli.users import users
from app.extensions import db
from app.models.user import ADMIN, USER, User
from app.services.user_service import authenticate, create_user
from tests.helpers import log_lines

EMAIL = "ann@example.com"
PASSWORD = "correct horse battery"
Run = Callable[..., Result]


@pytest.fixture
def run(app: Flask) -> Run:
    def run(*args: str, given: str | None = None) -> Result:
        return app.test_cli_runner().invoke(users, args, input=given)

    return run


def accounts(app: Flask) -> list[User]:
    with app.app_context():
        return list(db.session.query(User))


def logs_in(app: Flask, password: str) -> bool:
    with app.app_context():
        return authenticate(EMAIL, password, None).email == EMAIL


def test_create_makes_an_account_and_shows_its_password_once(run: Run, app: Flask) -> None:
    result = run("create", "Ann@Example.com")
    assert result.exit_code == 0, result.output
    found = re.fullmatch(
        r"Made the account ann@example\.com\.\nPassword, shown only now: (\S{20})\n", result.output
    )
    assert found, result.output
    assert logs_in(app, found[1])
    [one] = accounts(app)
    assert (one.role, one.name) == (USER, "ann")
    assert all(found[1] not in str(line) for line in log_lines(app))
    [line] = log_lines(app, "register")
    assert line["details"]["via"] == "command"


def test_two_made_up_passwords_differ(run: Run) -> None:
    outputs = {run("create", f"ann{number}@example.com").output.split()[-1] for number in range(2)}
    assert len(outputs) == 2


def test_create_takes_a_role_a_name_and_a_password_from_its_input(run: Run, app: Flask) -> None:
    options = ["--admin", "--name", "Ann Other", "--password-stdin"]
    result = run("create", EMAIL, *options, given=f"{PASSWORD}\nnot read\n")
    assert result.exit_code == 0, result.output
    assert result.output == "Made the administrator ann@example.com.\n"
    [one] = accounts(app)
    assert (one.role, one.name) == (ADMIN, "Ann Other")
    assert logs_in(app, PASSWORD)


@pytest.mark.parametrize(
    ("args", "given", "field"),
    [
        (["no-address"], None, "email"),
        ([EMAIL, "--password-stdin"], "short\n", "password"),
        ([EMAIL, "--password-stdin"], "", "password"),
        ([EMAIL, "--password-stdin"], "with\0a NUL inside\n", "password"),
        ([EMAIL, "--name", "x" * 81], None, "name"),
    ],
)
def test_bad_input_is_one_line_that_names_the_field(
    run: Run, app: Flask, args: list[str], given: str | None, field: str
) -> None:
    result = run("create", *args, given=given)
    assert result.exit_code == 1
    assert re.fullmatch(rf"Error: {field}: .+\n", result.output)
    assert accounts(app) == []


def test_an_address_that_has_an_account_is_refused(run: Run, app: Flask) -> None:
    run("create", EMAIL)
    result = run("create", EMAIL, "--admin")
    assert result.exit_code == 1
    assert result.output == "Error: email: This e-mail address has an account.\n"
    assert [one.role for one in accounts(app)] == [USER]


def test_if_none_makes_an_account_only_when_there_is_none(run: Run, app: Flask) -> None:
    first = run("create", "admin@localhost", "--admin", "--if-none")
    second = run("create", "other@localhost", "--admin", "--if-none")
    assert "Password, shown only now:" in first.output
    assert (second.exit_code, second.output) == (0, "")
    assert [one.email for one in accounts(app)] == ["admin@localhost"]


@pytest.mark.parametrize("given", [None, "another horse battery\n"])
def test_a_lost_password_is_replaced_which_ends_all_sessions_and_is_recorded(
    run: Run, app: Flask, given: str | None
) -> None:
    with app.app_context():
        create_user(EMAIL, PASSWORD)
    result = run("password", "Ann@Example.com", *["--password-stdin"][: bool(given)], given=given)
    assert result.exit_code == 0, result.output
    first, *shown = result.output.splitlines()
    assert first == "Set a new password for ann@example.com."
    assert logs_in(app, given.strip() if given else shown[0].split()[-1])
    assert len(shown) == (0 if given else 1)
    assert [one.session_version for one in accounts(app)] == [2]
    [line] = log_lines(app, "password_changed")
    assert (line["outcome"], line["details"]) == ("success", {"via": "command"})


@pytest.mark.parametrize(
    ("email", "given", "said"),
    [
        ("bob@example.com", PASSWORD, "email: No such account."),
        (EMAIL, PASSWORD, "email: This account is switched off. Please ask an administrator."),
        ("cy@example.com", "short", "password: Use 10 to 128 characters."),
    ],
)
def test_a_password_that_cannot_be_set_is_one_line(
    run: Run, app: Flask, email: str, given: str, said: str
) -> None:
    with app.app_context():
        create_user(EMAIL, PASSWORD).active = False
        db.session.commit()
        create_user("cy@example.com", PASSWORD)
    result = run("password", email, "--password-stdin", given=f"{given}\n")
    assert (result.exit_code, result.output) == (1, f"Error: {said}\n")
    assert [one.session_version for one in accounts(app)] == [1, 1]


def test_promote_makes_an_administrator_and_says_when_it_was_one(run: Run, app: Flask) -> None:
    with app.app_context():
        create_user(EMAIL, PASSWORD)
    assert run("promote", "ANN@example.com").output == "ann@example.com is now an administrator.\n"
    assert run("promote", EMAIL).output == "ann@example.com is already an administrator.\n"
    assert [one.role for one in accounts(app)] == [ADMIN]


def test_promoting_nobody_fails_with_one_line(run: Run) -> None:
    result = run("promote", EMAIL)
    assert (result.exit_code, result.output) == (1, "Error: email: No such account.\n")


@pytest.mark.parametrize("args", [["create", EMAIL], ["promote", EMAIL], ["password", EMAIL]])
def test_a_database_without_tables_is_one_line_that_says_what_to_do(
    run: Run, app: Flask, args: list[str]
) -> None:
    with app.app_context():
        db.drop_all(None)
    result = run(*args)
    assert result.exit_code == 1
    assert re.fullmatch(r"Error: The database .+ flask --app wsgi db upgrade\n", result.output)
