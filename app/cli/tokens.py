"""Commands for API tokens: `flask tokens …`."""

import click
from flask.cli import AppGroup

from app.cli.log_format import one_line, show, show_table
from app.cli.users import explained
from app.models.api_token import ApiToken
from app.models.user import User
from app.services import api_token_service, user_service
from app.services.errors import Invalid

tokens = AppGroup("tokens", help="Make, list and revoke API tokens.")


@tokens.command("create")
@click.argument("email")
@click.option("--name", required=True, help="What the token is for.")
@click.option("--days", type=int, help="How long it works; without it, until it is revoked.")
def create(email: str, name: str, days: int | None) -> None:
    """Make a token of an account and show it once."""
    with explained():
        token, plain = api_token_service.create_token(_owner(email), name, days, via="command")
        told = f"Made the token {token.id}, {token.name}, of {token.user.email}."
    show(one_line(told))
    show(f"Token, shown only now: {plain}")


@tokens.command("list")
@click.argument("email", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(email: str | None, as_json: bool) -> None:
    """List the tokens of an account, or all, the newest first."""
    with explained():
        found = api_token_service.list_tokens(_owner(email) if email else None)
        rows = [_row(token) for token in found]
    if rows or as_json:
        show_table(rows, as_json)
    else:
        show("There are no tokens.")


@tokens.command("revoke")
@click.argument("token_id", metavar="ID", type=click.IntRange(min=1))
def revoke(token_id: int) -> None:
    """End a token at once; `flask tokens list` shows its ID."""
    with explained():
        token = api_token_service.revoke_token(token_id, via="command")
    show(one_line(f"The token {token.id}, {token.name}, is revoked."))


def _owner(email: str) -> User:
    user = user_service.find_user(email)
    if user is None:
        raise Invalid(errors={"email": "No such account."})
    return user


def _row(token: ApiToken) -> dict[str, object]:
    return {
        "id": token.id,
        "account": token.user.email,
        "name": token.name,
        "prefix": token.prefix,
        "created_at": token.created_at,
        "last_used_at": token.last_used_at,
        "expires_at": token.expires_at,
    }
