"""The tables. Import a model from its module; this file makes all of them known to migrations."""

from app.models import alert, api_token, error_state, item, log, outbox, rate_limit, user

__all__ = ["alert", "api_token", "error_state", "item", "log", "outbox", "rate_limit", "user"]
