"""Headers that tell browsers what our pages may do, and who may keep them."""

from flask import Flask, Response, current_app, g, request, session

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
_BY_LOWERED = {name.lower(): (name, value) for name, value in HEADERS.items()}


def init_app(app: Flask) -> None:
    """Add the headers to every response; a view that sets one itself keeps its own."""
    app.after_request(_add)


def _add(response: Response) -> Response:
    there = {name.lower() for name, _ in response.headers}
    response.headers.extend(
        [header for lowered, header in _BY_LOWERED.items() if lowered not in there]
    )
    if request.is_secure and current_app.config["APP_ENV"] == "production":
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    if "Cache-Control" not in response.headers and _is_content(response):
        response.headers["Cache-Control"] = _who_may_keep()
    return response


def _is_content(response: Response) -> bool:
    kind = response.mimetype or ""
    return kind == "text/html" or kind.endswith("json")


def _who_may_keep() -> str:
    """Return how a page may be cached: not at all when it was made for somebody signed in."""
    return "no-store" if "_user_id" in session or "api_token" in g else "private, no-cache"
