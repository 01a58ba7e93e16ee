"""Answers for monitors and orchestrators: how the application is, in JSON."""

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Flask, Response, current_app, jsonify

from app.observability.health_checks import HEALTHY, HealthChecks, Result, make_checks, worst

bp = Blueprint("health", __name__, url_prefix="/health")


def init_app(app: Flask) -> None:
    """Serve /health, /health/live and /health/ready to anyone; nothing in them is secret."""
    app.extensions["health_checks"] = make_checks(app)
    app.register_blueprint(bp)


@bp.get("")
def show() -> Response:
    """Run every check; anything but `healthy` is a 503, a warning included."""
    return _answer(_checks().run())


@bp.get("/live")
def live() -> Response:
    """Say that this process answers; depends on nothing else."""
    return _answer({})


@bp.get("/ready")
def ready() -> Response:
    """Say whether requests can be served, which takes the database and nothing else."""
    return _answer(_checks().run("database"))


def _checks() -> HealthChecks:
    checks: HealthChecks = current_app.extensions["health_checks"]
    return checks


def _answer(results: dict[str, Result]) -> Response:
    status = worst(results)
    body: dict[str, Any] = {
        "status": status,
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    if results:
        body["checks"] = {name: vars(result) for name, result in results.items()}
    response = jsonify(body)
    response.status_code = 200 if status == HEALTHY else 503
    response.headers["Cache-Control"] = "no-store"
    return response
