"""The forms of the account pages. They check that input is there; services check the rest."""

from collections.abc import Callable
from typing import Any

from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    EmailField,
    Field,
    PasswordField,
    SelectChoice,
    SelectField,
    StringField,
)
from wtforms.validators import EqualTo, StopValidation

from app.services.account_rules import (
    EMAIL_MAX,
    NAME_MAX,
    PASSWORD_MAX,
    PASSWORD_MIN,
    email_problem,
    name_problem,
    normal_email,
    password_problem,
)
from app.services.errors import ServiceError
from app.services.texts import is_plain

PASSWORD_HINT = f"{PASSWORD_MIN} to {PASSWORD_MAX} characters; a few unrelated words are good."
_REPEAT_MISSING = "Enter the new password again."


class Form(FlaskForm):  # type: ignore[misc]
    """Carry a CSRF token; all forms of these pages do."""


class PlainText:
    """Require a text of limited length without control characters.

    It sets no `maxlength`: browsers would cut a pasted password without a word.
    """

    field_flags = {"required": True}

    def __init__(self, missing: str, maximum: int) -> None:
        self.missing = missing
        self.maximum = maximum

    def __call__(self, _form: Form, field: Field) -> None:
        if not field.data:
            raise StopValidation(self.missing)
        if len(field.data) > self.maximum:
            raise StopValidation(f"Use at most {self.maximum} characters.")
        if not is_plain(field.data):
            raise StopValidation("Use only letters, digits, signs and spaces.")


def _strip(text: str | None) -> str | None:
    return text.strip() if text else text


def _email(*validators: Callable[..., Any]) -> Field:
    return EmailField(
        "E-mail address",
        [PlainText("Enter your e-mail address.", EMAIL_MAX), *validators],
        filters=[_strip],
        render_kw={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"},
    )


def _password(
    label: str, missing: str, autocomplete: str, *validators: Callable[..., Any]
) -> Field:
    return PasswordField(
        label,
        [PlainText(missing, PASSWORD_MAX), *validators],
        render_kw={"autocomplete": autocomplete},
    )


def _new_password(label: str = "Password") -> Field:
    good = _passes(lambda text: password_problem(text, ""))
    return _password(label, "Enter a password.", "new-password", good)


def _passes(problem_of: Callable[[str], str | None]) -> Callable[[Form, Field], None]:
    """Require what the service asks as well: so it is said together with what the form finds."""

    def check(_form: Form, field: Field) -> None:
        if problem := problem_of(field.data):
            raise StopValidation(problem)

    return check


def _repeat() -> Field:
    same = EqualTo("password", "The two passwords are not the same.")
    return _password("Password, again", _REPEAT_MISSING, "new-password", same)


class LoginForm(Form):
    email = _email()
    password = _password("Password", "Enter your password.", "current-password")
    keep = BooleanField("Stay logged in for two weeks")


class RegisterForm(Form):
    email = _email(_passes(lambda text: email_problem(normal_email(text))))
    name = StringField(
        "Name",
        [PlainText("Enter a name.", NAME_MAX), _passes(name_problem)],
        filters=[_strip],
        render_kw={"autocomplete": "name"},
    )
    password = _new_password()
    repeat = _repeat()


class ChangePasswordForm(Form):
    current = _password("Current password", "Enter your current password.", "current-password")
    password = _new_password("New password")
    repeat = _repeat()


class ForgotForm(Form):
    email = _email()


class ResetForm(Form):
    password = _new_password("New password")
    repeat = _repeat()


class TokenForm(Form):
    name = StringField(
        "Name", [PlainText("Enter a name.", NAME_MAX)], filters=[_strip],
        render_kw={"autocomplete": "off", "maxlength": NAME_MAX},
    )  # fmt: skip
    days = SelectField(
        "Expires",
        choices=[
            SelectChoice("30", "In 30 days"),
            SelectChoice("90", "In 90 days"),
            SelectChoice("365", "In a year"),
            SelectChoice("", "Never"),
        ],
        default="90",
        render_kw={"required": True},
    )

    def lifetime(self) -> int | None:
        """Return the number of days that the token is to work, None for ever."""
        return int(self.days.data) if self.days.data else None


def show_problems(form: Form, error: ServiceError) -> None:
    """Put what a service refused beside the fields; what has no field goes above the form."""
    for name, problem in error.errors.items():
        if name in form:
            form[name].errors = [*form[name].errors, problem]
        else:
            form.form_errors.append(problem)
    if not error.errors:
        form.form_errors.append(error.message)
