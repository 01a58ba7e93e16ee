import pytest
from flask import Flask
from werkzeug.datastructures import MultiDict

from app.blueprints.auth.forms import (
    ChangePasswordForm,
    ForgotForm,
    Form,
    LoginForm,
    RegisterForm,
    ResetForm,
    show_problems,
)
from app.services.errors import Conflict, Invalid

GOOD = {
    "email": "ann@example.com",
    "name": "Ann",
    "current": "the old password",
    "password": "correct horse battery",
    "repeat": "correct horse battery",
}
FORMS = [LoginForm, RegisterForm, ChangePasswordForm, ForgotForm, ResetForm]
FIELDS = [
    (form, name)
    for form, names in [
        (LoginForm, ["email", "password"]),
        (RegisterForm, ["email", "name", "password", "repeat"]),
        (ChangePasswordForm, ["current", "password", "repeat"]),
        (ForgotForm, ["email"]),
        (ResetForm, ["password", "repeat"]),
    ]
    for name in names
]


def problems(app: Flask, form: type[Form], data: dict[str, str]) -> dict[str, list[str]]:
    with app.test_request_context(method="POST"):
        filled = form(MultiDict(data))
        filled.validate()
        return dict(filled.errors)


@pytest.mark.parametrize("form", FORMS)
def test_a_form_that_is_filled_in_has_no_problems(app: Flask, form: type[Form]) -> None:
    assert problems(app, form, GOOD) == {}


@pytest.mark.parametrize(("form", "name"), FIELDS)
def test_a_field_with_bad_input_is_named(app: Flask, form: type[Form], name: str) -> None:
    others = {key: value for key, value in GOOD.items() if key != name}
    assert name in problems(app, form, others)
    for bad in ("", "nul\0inside", "bell\x07inside", "x" * 300):
        assert name in problems(app, form, {**others, name: bad}), bad


def test_an_address_and_a_name_lose_the_spaces_around_them(app: Flask) -> None:
    with app.test_request_context(method="POST"):
        form = RegisterForm(MultiDict({**GOOD, "email": " ann@example.com ", "name": " Ann "}))
        assert form.validate()
        assert (form.email.data, form.name.data) == ("ann@example.com", "Ann")


def test_a_password_keeps_the_spaces_around_it(app: Flask) -> None:
    with app.test_request_context(method="POST"):
        assert LoginForm(MultiDict({**GOOD, "password": " a b "})).password.data == " a b "


@pytest.mark.parametrize("form", [RegisterForm, ChangePasswordForm, ResetForm])
def test_a_new_password_is_typed_twice_alike(app: Flask, form: type[Form]) -> None:
    found = problems(app, form, {**GOOD, "repeat": "correct horse batterY"})
    assert found == {"repeat": ["The two passwords are not the same."]}


@pytest.mark.parametrize(("form", "name"), FIELDS)
def test_a_field_tells_browsers_what_it_is_and_never_cuts_a_text(
    app: Flask, form: type[Form], name: str
) -> None:
    expected = {
        "email": "username",
        "name": "name",
        "current": "current-password",
        "password": "current-password" if form is LoginForm else "new-password",
        "repeat": "new-password",
    }
    with app.test_request_context():
        field = form()[name]
        assert field.render_kw["autocomplete"] == expected[name]
        assert field.flags.required
        assert field.flags.maxlength is None


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.settings(WTF_CSRF_ENABLED=True)
def test_a_form_without_its_token_is_refused(app: Flask, form: type[Form]) -> None:
    assert set(problems(app, form, GOOD)) == {"csrf_token"}


def test_a_refusal_is_shown_beside_its_field_or_above_the_form(app: Flask) -> None:
    with app.test_request_context(method="POST"):
        form = LoginForm(MultiDict(GOOD))
        form.validate()
        show_problems(form, Invalid(errors={"email": "Taken.", "token": "Old."}))
        show_problems(form, Conflict("Too late."))
        assert form.errors == {"email": ["Taken."], "": ["Old.", "Too late."]}
