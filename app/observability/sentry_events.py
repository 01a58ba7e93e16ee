"""What goes to Sentry, with the same redaction as the logs."""

import logging
import re
from contextvars import ContextVar
from typing import Any

import sentry_sdk
from flask import Flask, Response, got_request_exception, request
from sentry_sdk.integrations.argv import ArgvIntegration
from sentry_sdk.integrations.flask import FlaskIntegration, _capture_exception
from sentry_sdk.integrations.logging import LoggingIntegration, ignore_logger
from sentry_sdk.integrations.modules import ModulesIntegration
from sentry_sdk.integrations.sqlalchemy import SqlalchemyIntegration
from sentry_sdk.types import Breadcrumb, BreadcrumbHint, Event, Hint
from sentry_sdk.utils import BadDsn, Dsn, event_from_exception

from app.observability import log_context
from app.observability.log_redaction import MASK, add_secret, redact, use_request_secrets
from app.observability.request_secrets import RequestSecrets
from config import ConfigError

EVENTS = "app.events"

# What the SDK may read by itself. What it does not read, it cannot send.
COLLECTED: Any = {
    "user_info": False,
    "cookies": {"mode": "off"},
    "url_query_params": {"mode": "off"},
    "http_headers": {"request": {"mode": "off"}},
    "http_bodies": [],
    "database_query_data": False,
    "stack_frame_variables": False,
}

# A group or a chain can have thousands; the one that was raised comes last.
_MAX_VALUES = 100

# A long random part of a path can be the token of a link; a plain UUID is an ID of ours.
_LONG_PART = re.compile(r"(?<=/)[A-Za-z0-9._~%=-]{20,}(?=/|$)")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_secrets: ContextVar[tuple[str, ...]] = ContextVar("secrets_of_the_traced_request", default=())


def init_app(app: Flask) -> None:
    """Do what `sentry.init_app` says."""
    turn_off()
    dsn = app.config["SENTRY_DSN"]
    if not dsn:
        return
    _learn_key(dsn)
    # Its records are sent by the handler below, or are no errors; without this, twice.
    ignore_logger(EVENTS)
    sentry_sdk.init(
        dsn=dsn,
        environment=app.config["APP_ENV"],
        release=app.config["RELEASE"],
        integrations=[FlaskIntegration("url"), LoggingIntegration(), SqlalchemyIntegration()],
        auto_enabling_integrations=False,
        disabled_integrations=[ArgvIntegration(), ModulesIntegration()],
        data_collection=COLLECTED,
        include_local_variables=False,
        max_request_body_size="never",
        before_send=scrub_event,
        before_breadcrumb=drop_rendered,
        before_send_transaction=scrub_trace,
        traces_sampler=_sampler(app.config["SENTRY_TRACES_SAMPLE_RATE"]),
        trace_propagation_targets=[],
        auto_session_tracking=False,
        debug=False,
        spotlight=False,
    )
    # It is called before or after the receiver that writes the `error` record, as it happens, and
    # what it raises would leave the request. The handler below sends the same exception.
    got_request_exception.disconnect(_capture_exception)
    logging.getLogger(EVENTS).addHandler(ErrorRecords())
    if app.config["SENTRY_TRACES_SAMPLE_RATE"]:
        app.after_request(stamp_trace)


def _learn_key(dsn: str) -> None:
    try:
        # The key in it is enough to send events in our name.
        add_secret(Dsn(dsn).public_key)
    except BadDsn:
        raise ConfigError("SENTRY_DSN: the given value is not a Sentry DSN.") from None
    add_secret(dsn)


def turn_off() -> None:
    """Stop sending; what waits to be sent still gets its two seconds."""
    events = logging.getLogger(EVENTS)
    for handler in [one for one in events.handlers if isinstance(one, ErrorRecords)]:
        events.removeHandler(handler)
    if sentry_sdk.is_initialized():
        sentry_sdk.get_client().close(timeout=2.0)
        sentry_sdk.get_global_scope().set_client(None)


class ErrorRecords(logging.Handler):
    """Send the exception of each `error` record: of requests, jobs and commands alike."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)

    def emit(self, record: logging.LogRecord) -> None:
        if not record.exc_info or record.exc_info[1] is None:
            return
        try:
            sentry_sdk.capture_event(
                *event_from_exception(
                    record.exc_info[1],
                    client_options=sentry_sdk.get_client().options,
                    mechanism={"type": EVENTS, "handled": False},
                )
            )
        except Exception:  # noqa: BLE001 - neither the request nor its record depends on Sentry
            self.handleError(record)


def scrub_event(event: Event, _hint: Hint) -> Event:
    """Mask what is secret in an event or a trace, and stamp it with request ID and user.

    If this raises, the SDK sends nothing.
    """
    clean: Any = {key: _scrub_part(part) for key, part in event.items()}
    if "extra" in clean:
        clean["extra"] = _without_rendered(clean["extra"])
    if "url" in clean.get("request", {}):
        clean["request"]["url"] = mask_long_parts(clean["request"]["url"])
    context = log_context.current()
    if request_id := context.get("request_id"):
        clean.setdefault("tags", {})["request_id"] = request_id
    if user_id := context.get("user_id"):
        clean["user"] = {"id": str(user_id)}
    scrubbed: Event = clean
    return scrubbed


def drop_rendered(crumb: Breadcrumb, _hint: BreadcrumbHint) -> Breadcrumb:
    """Take out of a breadcrumb what a handler has made of its record: all of it once more."""
    if isinstance(crumb.get("data"), dict):
        crumb["data"] = _without_rendered(crumb["data"])
    return crumb


def stamp_trace(response: Response) -> Response:
    """Keep what a trace needs of its request: it is sent when the request's context is gone."""
    scope = sentry_sdk.get_isolation_scope()
    context = log_context.current()
    scope.set_tag("request_id", context.get("request_id"))
    if user_id := context.get("user_id"):
        scope.set_user({"id": str(user_id)})
    _secrets.set(RequestSecrets(request)())
    return response


def scrub_trace(event: Event, hint: Hint) -> Event:
    """Mask what is secret in a trace, the values of its request's sensitive fields included."""
    use_request_secrets(_secrets.get)
    try:
        return scrub_event(event, hint)
    finally:
        use_request_secrets(None)


def mask_long_parts(url: str) -> str:
    """Mask each part of an address's path that may be a token; drop everything behind a `?`."""
    path = url.partition("?")[0]
    return _LONG_PART.sub(lambda part: part[0] if _UUID.fullmatch(part[0]) else MASK, path)


def _scrub_part(part: Any) -> Any:
    # One by one, because the redactor cuts what has more parts than anything in a log should
    # have, and the SDK needs the shape that it gave.
    if isinstance(part, list):
        return [redact(one) for one in part]
    if isinstance(part, dict) and isinstance(part.get("values"), list):
        values = [redact(one) for one in part["values"][-_MAX_VALUES:]]
        return {**redact({**part, "values": None}), "values": values}
    return redact(part)


def _without_rendered(data: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if not str(key).startswith("rendered_")}


def _sampler(rate: float) -> Any:
    # Without a sampler, tracing is off altogether. With one, a stranger's sentry-trace header
    # cannot decide that his requests are traced.
    return (lambda _context: rate) if rate else None
