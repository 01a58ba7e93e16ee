"""Headers that tell browsers what our pages may do, and who may keep them."""

from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, g, session

_POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)

HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Our own pages may be told where a visitor came from; other sites are not.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# A client that takes nothing compressed was not asked, but others may get it so.
_VARY = ("Vary", "Accept-Encoding")
_STAY_ON_HTTPS = ("Strict-Transport-Security", "max-age=31536000")


def init_app(app: Flask) -> None:
    """Add the headers to every response; a view that sets one itself keeps its own."""
    production = app.config["APP_ENV"] == "production"
    # Where they leave for the server, as a list: each in Flask's own object is checked twice.
    app.wsgi_app = _adding(app.wsgi_app, production)  # type: ignore[assignment,method-assign]


def _adding(wsgi_app: WSGIApplication, production: bool) -> WSGIApplication:
    over_http = {name.lower(): (name, value) for name, value in HEADERS.items()}
    over_https = over_http | {_STAY_ON_HTTPS[0].lower(): _STAY_ON_HTTPS}

    def adding(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            # Asked now: within, a trusted proxy's word has been taken for the scheme.
            secure = environ["wsgi.url_scheme"] in {"https", "wss"}
            there = {name.lower(): value for name, value in headers}
            ours = over_https if secure and production else over_http
            if ours.keys().isdisjoint(there):
                headers += ours.values()
            else:
                headers += [ours[name] for name in ours if name not in there]
            if "accept-encoding" not in there.get("vary", "").lower():
                headers.append(_VARY)
            if "cache-control" not in there and _is_content(there.get("content-type", "")):
                signed_in = _is_signed_in(environ, begins="set-cookie" in there)
                headers.append(("Cache-Control", "no-store" if signed_in else "private, no-cache"))
            return start_response(status, headers, *exc_info)

        return wsgi_app(environ, start)

    return adding


def _is_content(content_type: str) -> bool:
    kind = content_type.partition(";")[0].rstrip().lower()
    return kind == "text/html" or kind.endswith("json")


def _is_signed_in(environ: WSGIEnvironment, *, begins: bool) -> bool:
    """Tell whether an answer was made for somebody signed in; `begins` if a session may begin."""
    # The request is still at hand: its answer only now begins. What it did not bring and does not
    # get is not asked for, which would make it.
    by_session = ("HTTP_COOKIE" in environ or begins) and "_user_id" in session
    return by_session or ("HTTP_AUTHORIZATION" in environ and "api_token" in g)
