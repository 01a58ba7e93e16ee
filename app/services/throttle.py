"""Limits on guessing, counted per account and per address across all workers."""

import ipaddress
import math
import time
from dataclasses import dataclass

from flask import current_app
from limits import RateLimitItem, parse
from limits.strategies import FixedWindowRateLimiter

from app.services.errors import ServiceError


class TooManyAttempts(ServiceError):
    """Refuse an attempt; `retry_after` is the number of seconds until the next may succeed."""

    status = 429
    title = "Too many attempts"

    def __init__(self, retry_after: int) -> None:
        minutes = max(1, math.ceil(retry_after / 60))
        unit = "minute" if minutes == 1 else "minutes"
        super().__init__(f"Too many attempts. Please try again in {minutes} {unit}.")
        self.retry_after = retry_after
        self.headers = {"Retry-After": str(retry_after)}


@dataclass(frozen=True)
class Limit:
    name: str
    rate: RateLimitItem


LOGIN_PER_ACCOUNT = Limit("login-account", parse("10 per 15 minutes"))
LOGIN_PER_ADDRESS = Limit("login-address", parse("50 per 15 minutes"))
REGISTER_PER_ADDRESS = Limit("register-address", parse("20 per hour"))
RESET_PER_ACCOUNT = Limit("reset-account", parse("5 per hour"))
RESET_PER_ADDRESS = Limit("reset-address", parse("20 per hour"))
TOKEN_PER_ADDRESS = Limit("token-address", parse("50 per 15 minutes"))


def take(*attempts: tuple[Limit, str]) -> None:
    """Count an attempt on each limit; raise TooManyAttempts at the first one that is used up.

    Limits after that one do not count: name the address before the account, so that a blocked
    address locks out nobody. Call it before anything else of the request writes: the count has
    its own transaction.
    """
    if not current_app.config["RATELIMIT_ENABLED"]:
        return
    for limit, key in attempts:
        if not _limiter().hit(limit.rate, limit.name, key):
            raise TooManyAttempts(_seconds_left(limit, key))


def give_back(*attempts: tuple[Limit, str]) -> None:
    """Return what take() counted, for an attempt that was no guess."""
    if not current_app.config["RATELIMIT_ENABLED"]:
        return
    for limit, key in attempts:
        _limiter().storage.incr(limit.rate.key_for(limit.name, key), limit.rate.get_expiry(), -1)


def network(address: str | None) -> str:
    """Return what one person can be held to: an IPv4 address or the /64 of an IPv6 address."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)


def _limiter() -> FixedWindowRateLimiter:
    limiter: FixedWindowRateLimiter = current_app.extensions["rate_limiter"]
    return limiter


def _seconds_left(limit: Limit, key: str) -> int:
    reset_time = _limiter().get_window_stats(limit.rate, limit.name, key).reset_time
    return max(1, math.ceil(reset_time - time.time()))
