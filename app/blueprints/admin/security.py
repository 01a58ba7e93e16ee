"""The page of security: logins that failed, what was refused, who read the log, accounts."""

from collections.abc import Mapping
from typing import Any

from flask import Response, jsonify, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.blueprints.admin import api
from app.blueprints.admin.blueprint import bp, viewed
from app.blueprints.admin.words import ago, search
from app.services import security_report
from app.services.security_report import Attempts, Tally


@bp.get("/security")
def security() -> ResponseReturnValue:
    """Show what happened to accounts and permissions in a window."""
    window = request.args.get("window", "24h")
    found = security_report.report(window)
    viewed("security", window=window)
    return render_template(
        "admin/security.html",
        found=found,
        window=window,
        windows=security_report.WINDOWS,
        sample=security_report.SAMPLE,
        ago=ago,
        changes=" ".join(f"action:{action}" for action in security_report.CHANGES),
        in_log=lambda **terms: _in_log(window, terms),
    )


@api.bp.get("/security")
def security_for_programs() -> Response:
    """Tell what happened to accounts and permissions in `window` (1h, 24h, 7d, 30d)."""
    window = request.args.get("window", "24h")
    found = security_report.report(window)
    viewed("api security", window=window)
    since = {"failed": found.failed.since, "guessed_at": found.logins_since,
             "refused": found.refused_since, "readers": found.readers_since,
             "changes": found.changes.since}  # fmt: skip
    response = jsonify(
        failed_by_account=[_attempts(one) for one in found.by_account],
        failed_by_address=[_attempts(one) for one in found.by_address],
        refused=[_tally(one, "status", "account", "address", "route") for one in found.refused],
        readers=[_tally(one, "account", "action") for one in found.readers],
        changes=found.changes.records,
        # Of what there was more of than is looked at: since when this tells all.
        complete_since={name: at.isoformat() if at else None for name, at in since.items()},
    )
    response.headers["Cache-Control"] = "no-store"
    return response


def _in_log(window: str, terms: Mapping[str, Any]) -> str:
    known = {name: value for name, value in terms.items() if value is not None}
    return url_for("admin.logs", q=search(**known), range=window)


def _attempts(one: Attempts) -> dict[str, Any]:
    return {
        "name": one.name, "failures": one.failures, "others": one.others,
        "reasons": dict(one.reasons), "last_seen": one.last_seen.isoformat(),
        "guessed_at": one.guessed_at.isoformat() if one.guessed_at else None,
        "suspicious": one.is_suspicious,
    }  # fmt: skip


def _tally(one: Tally, *names: str) -> dict[str, Any]:
    values = dict(zip(names, one.values, strict=True))
    return {**values, "count": one.count, "last_seen": one.last_seen.isoformat()}
