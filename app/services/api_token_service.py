"""API tokens: make them, know whose one is, end them."""

import contextlib
import hashlib
import logging
import secrets
from datetime import timedelta

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from app.extensions import db
from app.models.api_token import ApiToken
from app.models.types import utc_now
from app.models.user import User
from app.observability.events import record_event
from app.observability.operations import operation
from app.services import throttle
from app.services.account_rules import name_problem, require
from app.services.errors import Invalid, NotFound, Unauthorized

# By this beginning people and programs that look for leaked secrets know what they found; so
# does app/observability/secret_patterns.py.
BEGINNING = "gh_"
_SHOWN = len(BEGINNING) + 8
DAYS_MAX = 3650
# A bound for the table, and more than anybody keeps an eye on.
TOKENS_MAX = 50
_USE_EVERY = timedelta(minutes=1)
_ID_MAX = 2**31 - 1
_NO_TOKEN = "There is no such token. It may have been revoked."  # noqa: S105 - it says so


class BadToken(Unauthorized):
    """Refuse a token; never says whether there was ever such a one."""

    headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}

    def __init__(self) -> None:
        super().__init__("This API token is not valid: mistyped, expired or revoked.")


def create_token(
    user: User, name: str, days: int | None = None, *, via: str = "page"
) -> tuple[ApiToken, str]:
    """Make a token of an account and return it with its plain text, which is known only now.

    Raises Invalid. A name is given once: a form that is sent again makes no second token.
    """
    name = name.strip()
    too_long = days is not None and not 1 <= days <= DAYS_MAX
    require(
        name=name_problem(name),
        days=f"Use a whole number from 1 to {DAYS_MAX}." if too_long else None,
    )
    if _count(user) >= TOKENS_MAX:
        raise Invalid(f"An account has at most {TOKENS_MAX} tokens. Revoke one that is not used.")
    plain = BEGINNING + secrets.token_urlsafe(32)
    with operation("token_created", target_type="token", owner=user.email, via=via) as op:
        token = ApiToken(
            user_id=user.id,
            name=name,
            token_hash=_digest(plain),
            prefix=plain[:_SHOWN],
            expires_at=utc_now() + timedelta(days=days) if days else None,
        )
        db.session.add(token)
        try:
            db.session.flush()
        except IntegrityError:
            raise Invalid(errors={"name": "You have a token of this name."}) from None
        op.target_id = token.id
        op.details |= {"label": name, "days": days}
    return token, plain


def list_tokens(user: User | None = None) -> list[ApiToken]:
    """Return an account's tokens, or everybody's, the newest first."""
    asked = select(ApiToken).order_by(ApiToken.id.desc())
    if user is not None:
        asked = asked.where(ApiToken.user_id == user.id)
    return list(db.session.scalars(asked))


def revoke_token(token_id: int, owner: User | None = None, *, via: str = "page") -> ApiToken:
    """End a token at once, only one of `owner` where that is given, and return what it was.

    Raises NotFound.
    """
    token = db.session.get(ApiToken, token_id) if token_id <= _ID_MAX else None
    if token is None or (owner is not None and token.user_id != owner.id):
        raise NotFound(_NO_TOKEN)
    details = {"owner": token.user.email, "label": token.name, "via": via}
    with operation("token_revoked", target_type="token", target_id=token_id, **details):
        db.session.expunge(token)
        ended = delete(ApiToken).where(ApiToken.id == token_id).returning(ApiToken.id)
        if db.session.scalar(ended) is None:
            # Somebody else was faster.
            raise NotFound(_NO_TOKEN)
    return token


def revoke_all(user: User) -> int:
    """End all tokens of an account at once, and return how many there were."""
    with operation("tokens_revoked", target_type="user", target_id=user.id) as op:
        ended = delete(ApiToken).where(ApiToken.user_id == user.id).returning(ApiToken.id)
        count = len(db.session.scalars(ended).all())
        op.details |= {"owner": user.email, "count": count}
    return count


def use_token(plain: str, address: str | None) -> ApiToken:
    """Return the token that somebody shows, and note its use; raise BadToken or TooManyAttempts.

    Only what is refused counts as an attempt: no flood of bad tokens from an address stops the
    good ones that come from there.
    """
    asked = select(ApiToken).where(ApiToken.token_hash == _digest(plain))
    token: ApiToken | None = db.session.scalar(asked)
    if token is None:
        raise _refused(None, "unknown_token", address)
    if token.expired or not token.user.active:
        raise _refused(token, "expired" if token.expired else "inactive", address)
    _note_use(token)
    return token


def _refused(token: ApiToken | None, reason: str, address: str | None) -> BadToken:
    # First: a flood is told by its requests' 429, not by a record for each that stays a year.
    throttle.take((throttle.TOKEN_PER_ADDRESS, throttle.network(address)))
    record_event(
        "token_refused",
        "token refused",
        level=logging.WARNING,
        account=token.user.email if token else None,
        target_type="token",
        target_id=token.id if token else None,
        outcome="refused",
        reason=reason,
    )
    return BadToken()


def _note_use(token: ApiToken) -> None:
    """Write down the use, but not of each request: reading should not cost a write."""
    now = utc_now()
    stale = now - _USE_EVERY
    if token.last_used_at is not None and token.last_used_at > stale:
        return
    unused = or_(ApiToken.last_used_at.is_(None), ApiToken.last_used_at <= stale)
    # On a connection of its own: it stays written whatever becomes of the request, and what the
    # session has read stays read.
    # And a database that takes no write just now stops nobody who reads.
    with contextlib.suppress(SQLAlchemyError), db.engine.begin() as connection:
        connection.execute(
            update(ApiToken).where(ApiToken.id == token.id, unused).values(last_used_at=now)
        )


def _count(user: User) -> int:
    counted = select(func.count()).select_from(ApiToken).where(ApiToken.user_id == user.id)
    return db.session.scalar(counted) or 0


def _digest(plain: str) -> str:
    return hashlib.sha256(plain.encode("utf-8", "replace")).hexdigest()
