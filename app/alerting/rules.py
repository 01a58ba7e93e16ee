"""Every alert rule as data."""

from dataclasses import dataclass

from app.alerting.notifiers import CRITICAL


@dataclass(frozen=True)
class Rule:
    """Describe when to wake somebody, and what that person should do then.

    It fires when what is measured over `window_hours` is above the setting `threshold`.
    `title` is its name on pages, `name` the one in records and in the database. `headline` is the
    mail's subject, with places for `value` and `limit`.
    """

    name: str
    title: str
    headline: str
    threshold: str
    window_hours: float
    severity: str
    advice: str


ERROR_RATE = Rule(
    name="error_rate",
    # A count: the error rate is the overview's share of requests that failed.
    title="Errors per hour",
    headline="{value:g} errors in the last hour, limit {limit:g}",
    threshold="ALERT_ERRORS_PER_HOUR",
    window_hours=1,
    severity=CRITICAL,
    advice=(
        "Start with the newest error: its record has the request, the user and the SQL it ran. If "
        "it began with a new release, go back to the one before."
    ),
)

RULES = (ERROR_RATE,)
