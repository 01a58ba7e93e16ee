"""One ID per request: accepted or made, bound to every record, returned, reset."""

import re
from typing import Any

from flask import Flask, Request, Response, request, session

from app.observability import log_context
from app.observability.ids import new_id
from app.observability.log_redaction import use_request_secrets
from app.observability.request_secrets import RequestSecrets

HEADER = "X-Request-ID"
_IN_ENVIRON = "HTTP_X_REQUEST_ID"
_BOUND = "glasshouse.bound"
_ACCEPTED = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


def init_app(app: Flask) -> None:
    """Give each request its ID; comes first of all hooks, so that the others' records have it."""
    app.before_request(_begin)
    app.after_request(_return)
    app.teardown_request(_end)


def accept_or_make(value: str | None) -> str:
    """Return an ID that came from outside if it is harmless, else a new one."""
    return value if value and _ACCEPTED.fullmatch(value) else new_id()


def get_request_id() -> str | None:
    """Return the ID of the request, job or command at hand."""
    value: str | None = log_context.current().get("request_id")
    return value


def _begin() -> None:
    asked: Request = request._get_current_object()  # type: ignore[attr-defined]
    use_request_secrets(RequestSecrets(asked))
    fields: dict[str, Any] = {
        "request_id": accept_or_make(asked.environ.get(_IN_ENVIRON)),
        "remote_addr": asked.remote_addr,
    }
    if asked.url_rule is not None:
        fields["route"] = asked.url_rule.rule
    # Without a cookie there is no session, and to ask would make one.
    has_session = "HTTP_COOKIE" in asked.environ and asked.endpoint != "static"
    if has_session and (claim := session.get("_user_id")):
        # Signed, so true of whoever holds the session; the user loader corrects an ended one.
        fields |= {"user_id": str(claim).partition(":")[0], "account": session.get("account")}
    # A request's own dictionary, where g takes four times as long.
    asked.environ[_BOUND] = log_context.bind(**fields)


def _return(response: Response) -> Response:
    response.headers[HEADER] = get_request_id() or new_id()
    return response


def _end(_exc: BaseException | None) -> None:
    asked: Request = request._get_current_object()  # type: ignore[attr-defined]
    token = asked.environ.get(_BOUND)
    if token is None:
        return
    try:
        log_context.reset(token)
    except ValueError:
        # A copy of this request in another thread ends (copy_current_request_context).
        return
    del asked.environ[_BOUND]
    use_request_secrets(None)
