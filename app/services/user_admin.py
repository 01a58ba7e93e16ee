"""What an administrator does with accounts: find them, change roles, switch off, end sessions."""

import re
from dataclasses import dataclass

from sqlalchemy import func, or_, select, update

from app.extensions import db
from app.models.user import ADMIN, USER, User
from app.observability.operations import operation
from app.services.errors import Conflict, Invalid, NotFound
from app.services.texts import is_plain

PAGE_SIZE = 50
ROLES = (USER, ADMIN)
_SEARCH_MAX = 200
_ID_MAX = 2**31 - 1


@dataclass(frozen=True)
class UserPage:
    """Accounts, newest first; the next page begins before the id `next`."""

    users: list[User]
    next: int | None = None


def list_users(search: str = "", before: str | int | None = None) -> UserPage:
    """Return a page of the accounts that have `search` in their name or address. Raises Invalid."""
    if len(search) > _SEARCH_MAX or not is_plain(search):
        raise Invalid(errors={"q": f"Use at most {_SEARCH_MAX} characters of plain text."})
    wanted = select(User).order_by(User.id.desc()).limit(PAGE_SIZE + 1)
    if before is not None:
        if not re.fullmatch(r"[0-9]{1,15}", str(before)):
            raise Invalid(errors={"before": "This address is damaged: go back to the first page."})
        wanted = wanted.where(User.id < int(before))
    if search:
        text = search.lower()
        wanted = wanted.where(
            or_(
                User.email.contains(text, autoescape=True),
                func.lower(User.name).contains(text, autoescape=True),
            )
        )
    found = list(db.session.scalars(wanted))
    users = found[:PAGE_SIZE]
    return UserPage(users, users[-1].id if len(found) > PAGE_SIZE else None)


def get_user(user_id: int) -> User:
    """Return an account; raise NotFound."""
    user = db.session.get(User, user_id) if user_id <= _ID_MAX else None
    if user is None:
        raise NotFound("There is no such account.")
    return user


def change_role(admin: User, user_id: int, role: str) -> None:
    """Give an account another role; it acts with it from its next request on.

    Raises Conflict for one's own account: so there is always an administrator left.
    """
    if role not in ROLES:
        raise Invalid(errors={"role": f"Use {' or '.join(ROLES)}."})
    with operation("role_changed", target_type="user", target_id=user_id, role=role):
        _other(admin, user_id).role = role


def switch_off(admin: User, user_id: int) -> None:
    """Let nobody log in to an account any more, and end its sessions. Raises as change_role()."""
    with operation("account_disabled", target_type="user", target_id=user_id):
        user = _other(admin, user_id)
        user.active = False
        user.session_version = User.session_version + 1


def switch_on(admin: User, user_id: int) -> None:
    """Let an account log in again. Raises as change_role()."""
    with operation("account_enabled", target_type="user", target_id=user_id):
        _other(admin, user_id).active = True


def end_sessions(user_id: int) -> None:
    """Log an account out on every device; it may log in again. Raises NotFound."""
    with operation("sessions_ended", target_type="user", target_id=user_id):
        get_user(user_id).session_version = User.session_version + 1


def _other(admin: User, user_id: int) -> User:
    # Both who demote each other at once write here first: one waits, and then sees what happened.
    get_user(user_id)
    first = User.id == min(admin.id, user_id)
    db.session.execute(update(User).where(first).values(role=User.role))
    both = select(User).where(User.id.in_({admin.id, user_id}))
    fresh = both.execution_options(populate_existing=True)
    found = {user.id: user for user in db.session.scalars(fresh)}
    if user_id not in found:
        raise NotFound("There is no such account.")
    if user_id == admin.id:
        raise Conflict("Ask another administrator to do this to your own account.")
    if not (found[admin.id].active and found[admin.id].is_admin):
        raise Conflict("You have meanwhile lost the right to do this.")
    return found[user_id]
