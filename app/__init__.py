"""Glasshouse: a Flask application that tells what it did and why."""

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Flask

from app import (
    alerting,
    api_tokens,
    assets,
    cli,
    error_pages,
    logstore,
    openapi,
    scheduler,
    security_headers,
    sessions,
    templating,
    trusted_proxies,
)
from app.blueprints import admin, auth, demo, health, items
from app.extensions import csrf, db, init_database
from app.observability import (
    access_log,
    events,
    metrics,
    metrics_page,
    query_timer,
    request_id,
    sampler,
    sentry,
)
from app.observability.logging_setup import setup_logging
from app.services import rate_limits
from config import INSTANCE, load_settings

__all__ = ["create_app", "db"]


def create_app(overrides: Mapping[str, Any] | None = None) -> Flask:
    """Build the application from the environment; `overrides` win over it.

    Raises config.ConfigError for a bad setting. Starts no thread and no process.
    """
    app = Flask(__name__, instance_path=str(INSTANCE))
    app.config.from_mapping(load_settings(os.environ, overrides))
    Path(app.instance_path).mkdir(parents=True, exist_ok=True)
    # Flask asks it in each request about each hook, of which we have many; the answer stays.
    app.ensure_sync = lru_cache(maxsize=1024)(app.ensure_sync)  # type: ignore[method-assign]

    # Logging is first: whatever fails below is recorded. Request ID is the first hook, so that
    # every record has it; the access log is the next, so that it sees each answer last.
    setup_logging(app)
    sentry.init_app(app)
    init_database(app)
    templating.init_app(app)
    trusted_proxies.init_app(app)
    sessions.init_app(app)
    request_id.init_app(app)
    access_log.init_app(app)
    events.init_app(app)
    metrics.init_app(app)
    query_timer.init_app(app)
    rate_limits.init_app(app)
    api_tokens.init_app(app)
    csrf.init_app(app)
    assets.init_app(app)
    security_headers.init_app(app)
    error_pages.init_app(app)

    # What capabilities stand on; gunicorn.conf.py starts some of it.
    logstore.init_app(app)
    auth.init_app(app)
    sampler.init_app(app)
    scheduler.init_app(app)
    cli.init_app(app)

    # Capabilities: each goes away with its folder or module, its line here and its import.
    items.init_app(app)
    admin.init_app(app)
    health.init_app(app)
    metrics_page.init_app(app)
    demo.init_app(app)
    openapi.init_app(app)
    alerting.init_app(app)
    return app
