"""What the ten key figures are, when each is too much, and how it comes from counts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from app.logstore.counts import percentiles
from app.logstore.measures import CPU, DB_MS, DISK, MEMORY, POOL

# Requests that failed with 5xx, beside all of them.
FAILED = "failed request"
Found = Mapping[tuple[str, str | None], Mapping[int, int]]


class Stretch:
    """What was counted in some minutes: `found` has the buckets of each (action, measure)."""

    def __init__(self, minutes: float, found: Found) -> None:
        self.minutes = minutes
        self._found = found

    def count(self, action: str) -> int:
        """Return how many records there were."""
        return sum(self._found.get((action, None), {}).values())

    def quantile(self, action: str, measure: str | None, quantile: float) -> float | None:
        """Return a quantile (0 to 1) of what was measured, None where nothing was."""
        return percentiles(self._found.get((action, measure), {}), [quantile])[quantile]


@dataclass(frozen=True)
class Kind:
    """Describe a figure: its unit, when it is too much, and how it comes from what was counted.

    One that is `hourly` is of the hour before each moment: a few events are no rate. `measure`
    names what samples tell of it exactly; `also` is told beside it.
    """

    name: str
    unit: str
    limit: float | None
    ask: Callable[[Stretch], float | None]
    hourly: bool = False
    measure: str | None = None
    lowest: bool = False
    also: Mapping[str, Callable[[Stretch], float | None]] = field(default_factory=dict)

    def exceeds(self, value: float | None) -> bool:
        """Tell whether a value is over its limit, or under it where less is worse."""
        if value is None or self.limit is None:
            return False
        return value < self.limit if self.lowest else value > self.limit


def _share(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None


def _failed_mails(of: Stretch) -> float | None:
    failed = of.count("email_failed")
    return _share(failed, failed + of.count("email_sent"))


def _sampled(measure: str, quantile: float) -> Callable[[Stretch], float | None]:
    return lambda of: of.quantile("sample", measure, quantile)


KINDS = (
    Kind("request_rate", "per minute", None, lambda of: of.count("request") / of.minutes),
    Kind("response_time", "ms", 2000, lambda of: of.quantile("request", None, 0.95),
         also={"p50": lambda of: of.quantile("request", None, 0.5),
               "p99": lambda of: of.quantile("request", None, 0.99)}),
    Kind("error_rate", "percent", 1, lambda of: _share(of.count(FAILED),
                                                       of.count("request"))),
    Kind("query_time", "ms", 1000, lambda of: of.quantile("request", DB_MS, 0.95)),
    # Beyond its size a pool opens connections that it closes again at once.
    Kind("connection_pool", "percent", 100, _sampled(POOL, 1), measure=POOL),
    Kind("disk_free", "percent", 20, _sampled(DISK, 0), measure=DISK, lowest=True),
    Kind("memory", "megabytes", 1024, _sampled(MEMORY, 1), measure=MEMORY),
    Kind("cpu", "percent", 90, _sampled(CPU, 1), measure=CPU),
    Kind("failed_logins", "per hour", 10, lambda of: 60 * of.count("login_failed") / of.minutes,
         hourly=True),
    Kind("email_failures", "percent", 5, _failed_mails, hourly=True),
)  # fmt: skip
