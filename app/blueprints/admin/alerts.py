"""The page of alerts: each rule, its state, and what was told."""

from flask import render_template

from app.blueprints.admin.blueprint import bp, viewed
from app.services import alert_service


@bp.get("/alerts")
def alerts() -> str:
    """Show what is watched, what fires, and who is told."""
    viewed("alerts")
    history = alert_service.history()
    return render_template(
        "admin/alerts.html",
        alerts=alert_service.list_alerts(),
        missing=alert_service.missing_settings(),
        recipients=alert_service.recipients(),
        history=history,
        last_mail=alert_service.last_mail(history),
    )
