"""The tables. Import a model from its module; this file makes all of them known to migrations."""

from app.models import alert, error_state, item, log, outbox, rate_limit, user

__all__ = ["alert", "error_state", "item", "log", "outbox", "rate_limit", "user"]
