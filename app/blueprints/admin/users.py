"""The administrator's pages of accounts: find one, change its role, switch it off, log it out."""

from collections.abc import Callable

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from app.blueprints.admin.blueprint import bp, viewed
from app.services import api_token_service, user_admin
from app.services.errors import Conflict, Invalid


@bp.get("/users")
def users() -> ResponseReturnValue:
    """List accounts, newest first."""
    search, before = request.args.get("q", "").strip(), request.args.get("before", "")
    try:
        page = user_admin.list_users(search, before or None)
    except Invalid as error:
        return render_template("admin/users.html", search=search, errors=error.errors), 400
    viewed("users")
    return render_template(
        "admin/users.html", search=search, page=page, beyond_first=bool(before), errors={}
    )


@bp.get("/users/<int:user_id>")
def user(user_id: int) -> str:
    """Show one account and what can be done with it."""
    found = user_admin.get_user(user_id)
    viewed("user", viewed_user_id=user_id)
    tokens = api_token_service.list_tokens(found)
    last_use = max((one.last_used_at for one in tokens if one.last_used_at), default=None)
    return render_template("admin/user.html", user=found, tokens=tokens, last_use=last_use)


@bp.post("/users/<int:user_id>/role")
def change_role(user_id: int) -> ResponseReturnValue:
    """Make an account an administrator, or an ordinary user."""
    role = request.form.get("role", "")
    return _done(
        user_id,
        lambda: user_admin.change_role(current_user, user_id, role),
        "The account is an administrator now." if role == "admin" else "The account is a user now.",
    )


@bp.post("/users/<int:user_id>/switch-off")
def switch_off(user_id: int) -> ResponseReturnValue:
    """Let nobody log in to an account any more."""
    return _done(
        user_id,
        lambda: user_admin.switch_off(current_user, user_id),
        "The account is switched off and logged out.",
    )


@bp.post("/users/<int:user_id>/switch-on")
def switch_on(user_id: int) -> ResponseReturnValue:
    """Let an account log in again."""
    return _done(
        user_id,
        lambda: user_admin.switch_on(current_user, user_id),
        "The account can log in again.",
    )


@bp.post("/users/<int:user_id>/end-sessions")
def end_sessions(user_id: int) -> ResponseReturnValue:
    """Log an account out on every device."""
    return _done(
        user_id,
        lambda: user_admin.end_sessions(user_id),
        "The account is logged out on every device.",
    )


@bp.post("/users/<int:user_id>/revoke-tokens")
def revoke_tokens(user_id: int) -> ResponseReturnValue:
    """End all API tokens of an account."""
    return _done(
        user_id,
        lambda: api_token_service.revoke_all(user_admin.get_user(user_id)),
        "The account has no API tokens any more.",
    )


def _done(user_id: int, change: Callable[[], object], said: str) -> ResponseReturnValue:
    try:
        change()
    except (Conflict, Invalid) as error:
        flash(next(iter(error.errors.values()), error.message), "danger")
    else:
        flash(said, "success")
    return redirect(url_for("admin.user", user_id=user_id))
