"""Records, and which of them each query selects: on every store, in files and in Python."""

from datetime import UTC, datetime, timedelta

from app.logstore.contract import LogQuery
from tests.logstore.stores import sample

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def minutes(number: float) -> datetime:
    return NOW + timedelta(minutes=number)


FILTERS = [
    (LogQuery(), "abcdef"),
    (LogQuery(levels=("ERROR", "CRITICAL")), "cf"),
    (LogQuery(levels=("error",)), "c"),
    (LogQuery(levels=("INFO",)), "abd"),
    (LogQuery(levels=("DEBUG",)), "e"),
    (LogQuery(levels=("DEBUG", "CRITICAL")), "ef"),
    (LogQuery(actions=("item_create",)), "b"),
    (LogQuery(actions=("item_create", "error")), "bc"),
    (LogQuery(actions=("item_create", "request")), "ab"),
    (LogQuery(actions=("request",)), "a"),
    (LogQuery(actions=("item_create", "error"), levels=("ERROR", "INFO")), "bc"),
    (LogQuery(without=(LogQuery(actions=("request", "error")),)), "bdef"),
    (LogQuery(user_id="7"), "ab"),
    (LogQuery(account="b@c.d"), "b"),
    (LogQuery(request_id="r1"), "abc"),
    (LogQuery(fingerprint="f1"), "c"),
    (LogQuery(route="/items/<id>"), "a"),
    (LogQuery(status_min=500), "a"),
    (LogQuery(status_min=400, status_max=499), "e"),
    (LogQuery(status_max=10**30), "ae"),
    (LogQuery(status_min=403, status_max=403), "e"),
    (LogQuery(status_min=429, status_max=429), ""),
    (LogQuery(min_duration_ms=100), "a"),
    (LogQuery(max_duration_ms=119.5), ""),
    (LogQuery(min_duration_ms=120, max_duration_ms=120), "a"),
    (LogQuery(equal=(("method", "PUT"),)), "a"),
    (LogQuery(equal=(("method", "GET"), ("method", "PUT"), ("path", "/items/5"))), "a"),
    (LogQuery(equal=(("method", "PUT"), ("path", "/items"))), ""),
    (LogQuery(equal=(("target_type", "item"), ("target_id", "5"), ("target_id", "6"))), "b"),
    (LogQuery(equal=(("account", "b@c.d"), ("account", "x@c.d"))), "b"),
    (LogQuery(equal=(("parent_request_id", "p"), ("host", "\0"), ("outcome", "x"))), ""),
    (LogQuery(equal=tuple((name, "w1") for name in ("host", "release", "remote_addr"))), "c"),
    (LogQuery(equal=(("logger", "app.test"),)), "abcdef"),
    (LogQuery(without=(LogQuery(levels=("INFO",)), LogQuery(status_min=500))), "cef"),
    (LogQuery(without=(LogQuery(user_id="7", actions=("request",)),)), "bcdef"),
    (LogQuery(without=(LogQuery(without=(LogQuery(user_id="7"),)),)), "ab"),
    (LogQuery(without=(LogQuery(without=(LogQuery(texts=("größe",)),)),)), "e"),
    (LogQuery(levels=("INFO",), without=(LogQuery(since=minutes(1), until=minutes(3)),)), "ad"),
    (LogQuery(since=minutes(2)), "cdef"),
    (LogQuery(until=minutes(2)), "ab"),
    (LogQuery(since=minutes(1), until=minutes(3), levels=("INFO",)), "b"),
    (LogQuery(texts=("hello",)), "d"),
    (LogQuery(texts=("HELLO wor",)), "d"),
    (LogQuery(texts=("/items/5",)), "a"),
    (LogQuery(texts=("valueerror",)), "c"),
    (LogQuery(texts=("broken cable",)), "c"),
    (LogQuery(texts=("select 1",)), "a"),
    (LogQuery(texts=("b@c",)), "b"),
    (LogQuery(texts=("GRÖSSE",)), "d"),
    (LogQuery(texts=("größe",)), "e"),
    (LogQuery(texts=("GRÖßE",)), "e"),
    (LogQuery(texts=("100%",)), "f"),
    (LogQuery(texts=("0%_",)), "f"),
    (LogQuery(texts=("a_b",)), ""),
    (LogQuery(texts=('say "hi" \\',)), "b"),
    (LogQuery(texts=('GRÖSSE "x',)), "d"),
    (LogQuery(texts=(".*",)), ""),
    (LogQuery(texts=('xÖ"',)), "f"),
    (LogQuery(texts=('","',)), ""),
    (LogQuery(texts=("5k",)), ""),
    (LogQuery(texts=("hello", "GRÖSSE")), "d"),
    (LogQuery(texts=("hello", "there", "")), ""),
    (LogQuery(texts=("x" * 40_000,)), ""),
    (LogQuery(texts=("nowhere\0",)), ""),
    (LogQuery(user_id="\0", request_id="\ud800"), ""),
    (LogQuery(texts=("i",), user_id="7", levels=("INFO",)), "ab"),
]


FILTERED = [
    sample(minutes(0), message="a", action="request", path="/items/5", route="/items/<id>",
           status=500, duration_ms=120.0, user_id="7", request_id="r1", statement="SELECT 1",
           method="PUT"),
    sample(minutes(1), message="b", action="item_create", user_id="7", account="b@c.d",
           request_id="r1", details={"note": 'Say "hi" \\ there'}, target_type="item",
           target_id="6"),
    sample(minutes(2), message="c", action="error", level="ERROR", request_id="r1",
           exception={"type": "ValueError", "message": "Broken cable", "fingerprint": "f1"},
           host="w1", release="w1", remote_addr="w1"),
    sample(minutes(3), message="d", details={"note": "Hello World", "size": 'grÖsse "x" axb'}),
    sample(minutes(4), message="e", level="DEBUG", status=403, details={"size": "Größe"}),
    sample(minutes(5), message="f", level="CRITICAL",
           details={"share": "100%_", "ä": 'xö"', "heat": "5\u212a", "like": "grxye"}),
]  # fmt: skip
