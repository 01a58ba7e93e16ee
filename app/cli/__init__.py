"""The commands: `flask users`, `flask logs`, `flask demo` and `flask scheduler`."""

from flask import Flask

from app.cli import demo, log_counts, logs, scheduler, users

__all__ = ["init_app", "register_commands"]

GROUPS = (users.users, logs.logs, demo.demo, scheduler.scheduler)


def register_commands(app: Flask) -> None:
    """Give the flask command its groups; each goes away with its module and its name here."""
    logs.logs.add_command(log_counts.recount)
    for group in GROUPS:
        app.cli.add_command(group)


def init_app(app: Flask) -> None:
    """Register the commands; starts nothing."""
    register_commands(app)
