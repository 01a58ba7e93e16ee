"""Commands for accounts: `flask users …`."""

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
from flask.cli import AppGroup
from sqlalchemy.exc import OperationalError, ProgrammingError

from app.models.user import ADMIN, USER
from app.services import user_service
from app.services.account_rules import normal_email
from app.services.errors import ServiceError

users = AppGroup("users", help="Make accounts and administrators, set passwords.")

password_option = click.option(
    "--password-stdin", is_flag=True, help="Read the password from the first input line."
)


@users.command("create")
@click.argument("email")
@click.option("--admin", is_flag=True, help="Make an administrator.")
@click.option("--name", default="", help="Default: what stands before the @.")
@password_option
@click.option("--if-none", is_flag=True, help="Do nothing when there is an account already.")
def create(email: str, admin: bool, name: str, password_stdin: bool, if_none: bool) -> None:
    """Make an account; a password that is not given is made up and shown once."""
    with explained():
        if if_none and user_service.any_user():
            return
        password = _new_password(password_stdin)
        role = ADMIN if admin else USER
        user = user_service.create_user(email, password, name=name, role=role, via="command")
    kind = "administrator" if admin else "account"
    click.echo(f"Made the {kind} {user.email}.")
    _show_once(password, password_stdin)


@users.command("password")
@click.argument("email")
@password_option
def password(email: str, password_stdin: bool) -> None:
    """Set a new password for an account, and end its sessions on every device.

    One that is not given is made up and shown once.
    """
    with explained():
        new = _new_password(password_stdin)
        user = user_service.set_password(email, new, via="command")
    click.echo(f"Set a new password for {user.email}.")
    _show_once(new, password_stdin)


@users.command("promote")
@click.argument("email")
def promote(email: str) -> None:
    """Make an account an administrator."""
    with explained():
        changed = user_service.promote(email)
    name = normal_email(email)
    click.echo(f"{name} is {'now' if changed else 'already'} an administrator.")


@contextmanager
def explained() -> Iterator[None]:
    """Turn what was refused into one clear line and exit code 1."""
    try:
        yield
    except ServiceError as error:
        parts = [f"{field}: {problem}" for field, problem in error.errors.items()]
        raise click.ClickException(" ".join(parts) or error.message) from None
    except (OperationalError, ProgrammingError):
        raise click.ClickException(
            "The database does not answer or has no tables yet; try: flask --app wsgi db upgrade"
        ) from None


def _new_password(from_stdin: bool) -> str:
    return sys.stdin.readline().rstrip("\r\n") if from_stdin else secrets.token_urlsafe(15)


def _show_once(password: str, given: bool) -> None:
    if not given:
        click.echo(f"Password, shown only now: {password}")
