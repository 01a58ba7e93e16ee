"""Every failure as an answer: a page for people, RFC 9457 problem details for programs.

Both carry the request ID. In production neither says anything about the inside.
"""

from dataclasses import dataclass, field

from flask import Flask, Response, current_app, make_response, render_template, request
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import InterfaceError, OperationalError, ProgrammingError, SQLAlchemyError
from werkzeug.exceptions import HTTPException, InternalServerError, SecurityError
from werkzeug.http import HTTP_STATUS_CODES

from app.error_texts import ADVICE, LAST_RESORT, MISSING_TABLES, MISSING_TABLES_SIGNS
from app.extensions import db
from app.observability.events import record_error
from app.observability.request_id import get_request_id
from app.services.errors import ServiceError

PROBLEM_JSON = "application/problem+json"


@dataclass
class Problem:
    """What went wrong, as the asker may know it."""

    status: int
    title: str = ""
    detail: str = ""
    errors: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        title, advice = ADVICE.get(self.status, (HTTP_STATUS_CODES.get(self.status, "Error"), ""))
        self.title = self.title or title
        self.detail = self.detail or advice


def init_app(app: Flask) -> None:
    """Answer refusals, HTTP errors, a database that fails, and everything unexpected."""
    app.register_error_handler(ServiceError, _refused)
    app.register_error_handler(CSRFError, _csrf)
    app.register_error_handler(HTTPException, _http)
    for error in (OperationalError, InterfaceError, ProgrammingError):
        app.register_error_handler(error, _database)


def wants_json() -> bool:
    """Tell whether the asker is a program: by address, method, body or Accept."""
    if request.path == "/api" or request.path.startswith("/api/") or request.is_json:
        return True
    if request.method not in {"GET", "HEAD", "POST", "OPTIONS"}:
        return True
    accepted = request.accept_mimetypes
    return accepted["application/json"] > accepted["text/html"]


def answer(problem: Problem) -> Response:
    """Return the page or the problem details for `problem`."""
    response = _as_json(problem) if wants_json() else _as_page(problem)
    response.status_code = problem.status
    return response


def _refused(error: ServiceError) -> Response:
    response = answer(Problem(error.status, error.title, error.message, error.errors))
    response.headers.update(error.headers)
    return response


def _csrf(_error: CSRFError) -> Response:
    if wants_json():
        # A stranger's missing token is no news: what helps is to log in.
        if not current_user.is_authenticated:
            return answer(Problem(401))
        detail = "Fetch a token from /api/csrf-token and send it as the header X-CSRFToken."
        return answer(Problem(400, "The CSRF token is missing or old", detail))
    detail = "It was open for too long, or you logged in or out meanwhile. Go back, reload, retry."
    return answer(Problem(400, "This form is out of date", detail))


def _http(error: HTTPException) -> HTTPException | Response:
    if error.code is None or error.response is not None:
        return error
    if isinstance(error, InternalServerError):
        _forget_transaction()
        if error.original_exception is not None:
            record_error(error.original_exception)
    response = answer(Problem(error.code))
    # Allow, Retry-After and WWW-Authenticate are part of the answer.
    for name, value in error.get_headers(request.environ):
        if name not in {"Content-Type", "Content-Length"}:
            response.headers[name] = value
    return response


def _database(error: SQLAlchemyError) -> Response:
    _forget_transaction()
    missing = any(sign in str(error) for sign in MISSING_TABLES_SIGNS)
    if isinstance(error, ProgrammingError) and not missing:
        # A mistake in a statement is a bug like any other, not an outage.
        raise error
    record_error(error, method=request.method, path=request.path)
    if missing and current_app.config["APP_ENV"] != "production":
        return answer(Problem(503, *MISSING_TABLES))
    response = answer(Problem(503))
    response.headers["Retry-After"] = "10"
    return response


def _forget_transaction() -> None:
    try:
        db.session.rollback()
    except SQLAlchemyError:
        # The connection is gone; a new session starts the next request.
        db.session.remove()


def _as_json(problem: Problem) -> Response:
    body = {
        "type": "about:blank",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "instance": request.path,
        "request_id": get_request_id(),
    }
    if problem.errors:
        body["errors"] = problem.errors
    response = make_response(current_app.json.dumps(body))
    response.content_type = PROBLEM_JSON
    if problem.status == 401 and request.path.startswith("/api/"):
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _as_page(problem: Problem) -> Response:
    page = {"problem": problem, "request_id": get_request_id(), "bare": problem.status >= 500}
    if isinstance(request.routing_exception, SecurityError):
        # Asked under a host name that is not ours: no address can be made for the page's links.
        return make_response(LAST_RESORT.render(page))
    try:
        if page["bare"]:
            # Without Flask's context processors: one of them asks the database, which may be
            # what failed, for the user.
            template = current_app.jinja_env.get_template("errors/error.html")
            return make_response(template.render(page))
        return make_response(render_template("errors/error.html", **page))
    except Exception as error:  # noqa: BLE001 - whatever fails here must not replace the answer.
        record_error(error)
        return make_response(LAST_RESORT.render(page))
