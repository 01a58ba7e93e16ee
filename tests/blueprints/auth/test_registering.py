from collections import Counter

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.extensions import db
from app.models.user import User
from app.services.throttle import REGISTER_PER_ADDRESS
from tests.blueprints.auth.pages import (
    HOME,
    REGISTRATION,
    is_logged_in,
    limited,
    page_of,
)
from tests.helpers import Account, log_lines


def test_who_registers_has_an_account_and_is_logged_in(client: FlaskClient, app: Flask) -> None:
    answer = client.post("/auth/register", data=REGISTRATION)
    assert (answer.status_code, answer.location) == (302, HOME)
    assert is_logged_in(client)
    assert [line["action"] for line in log_lines(app) if line.get("target_type") == "user"] == [
        "register",
        "login",
    ]


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("email", "no address"),
        ("email", "ä@example.com"),
        ("name", "x" * 81),
        ("password", "short"),
        ("password", "ann@example.com"),
        ("password", "x" * 129),
    ],
)
def test_a_bad_registration_names_its_field_and_makes_nothing(
    client: FlaskClient, app: Flask, field: str, bad: str
) -> None:
    data = {**REGISTRATION, field: bad}
    data["repeat"] = data["password"]
    answer = client.post("/auth/register", data=data)
    assert answer.status_code == 422
    assert page_of(answer).problem(field)
    with app.app_context():
        assert db.session.query(User).count() == 0


def test_all_that_is_wrong_is_said_together(client: FlaskClient) -> None:
    data = {"email": "no address", "name": "\u202e", "password": "short", "repeat": "other"}
    page = page_of(client.post("/auth/register", data=data))
    assert page.problem("email") == "Enter an e-mail address like name@example.com."
    assert page.problem("name") == "Enter a name."
    assert page.problem("password") == "Use 10 to 128 characters."
    assert page.problem("repeat") == "The two passwords are not the same."


def test_an_address_that_has_an_account_is_a_problem_of_its_field(
    client: FlaskClient, user: Account
) -> None:
    answer = client.post("/auth/register", data={**REGISTRATION, "email": user.email.upper()})
    assert answer.status_code == 422
    assert page_of(answer).problem("email") == "This e-mail address has an account."


def test_a_role_cannot_be_had_by_asking(client: FlaskClient, app: Flask) -> None:
    client.post("/auth/register", data={**REGISTRATION, "role": "admin", "active": "1"})
    with app.app_context():
        assert db.session.query(User).one().role == "user"


@limited
def test_one_address_cannot_make_accounts_or_look_for_them_without_end(
    app: Flask, user: Account
) -> None:
    data = {**REGISTRATION, "email": user.email}
    statuses = Counter(
        app.test_client().post("/auth/register", data=data).status_code
        for _ in range(REGISTER_PER_ADDRESS.rate.amount + 2)
    )
    assert statuses == {422: REGISTER_PER_ADDRESS.rate.amount, 429: 2}
