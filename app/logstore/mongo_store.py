"""The log store on MongoDB, a replica set of one or more members."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from pymongo.client_session import ClientSession

from app.logstore import mongo_retention
from app.logstore.contract import Checkpoint, Group, LogQuery, Page, Stretch
from app.logstore.count_questions import CountQuestions
from app.logstore.error_groups import Occurrences
from app.logstore.mongo_append import MongoAppender
from app.logstore.mongo_client import Mongo
from app.logstore.mongo_counts import MongoCounts
from app.logstore.mongo_documents import CHECKPOINTS, INDEXES, LOGS, from_document
from app.logstore.mongo_errors import store_errors
from app.logstore.mongo_groups import read_groups
from app.logstore.mongo_occurrences import read_occurrences
from app.logstore.mongo_reader import MongoReader
from app.logstore.reading import read_after, read_newer, read_page
from app.logstore.record import normalise, valid_id
from app.logstore.waiting import Meanwhile, nothing

T = TypeVar("T")


class MongoStore(CountQuestions):
    """Keep records in collections; `contract.LogStore` says what each method does.

    A search stops after `deadline` seconds and says how far it came. Safe to use after a fork.
    """

    def __init__(self, url: str, deadline: float = 0.06) -> None:
        self._mongo = Mongo(url)
        self._deadline = deadline
        self._appender = MongoAppender(self._mongo)
        self._held = threading.local()

    @property
    def refused(self) -> Counter[str]:
        """Return how many records MongoDB refused: stored `encoded`, or `refused` even so."""
        return self._appender.refused

    def prepare(self) -> None:
        """Make the indexes; says so in one line when the server is no replica set."""
        with store_errors():
            self._mongo.prepare(INDEXES)

    @contextmanager
    def together(self) -> Iterator[None]:
        outer = getattr(self._held, "counts", None)
        self._held.counts = outer or MongoCounts(self._mongo)
        try:
            yield
        finally:
            self._held.counts = outer

    def append(
        self, records: Iterable[Mapping[str, Any]], checkpoint: Checkpoint,
        meanwhile: Meanwhile = nothing,  # noqa: ARG002 - its driver waits within each statement
    ) -> list[str]:  # fmt: skip
        with store_errors():
            return self._appender.append([normalise(record) for record in records], checkpoint)

    def page(
        self,
        query: LogQuery,
        before: str | None = None,
        limit: int = 50,
        fields: Sequence[str] = (),
    ) -> Page:
        with store_errors():
            reader = MongoReader(self._mongo, query, fields)
            return read_page(reader, query, before, limit, self._deadline)

    def newer(
        self, query: LogQuery, after: str, limit: int = 50, fields: Sequence[str] = ()
    ) -> list[dict[str, Any]]:
        with store_errors():
            return read_newer(MongoReader(self._mongo, query, fields), query, after, limit)

    def after(
        self, query: LogQuery, cursor: str | None = None, limit: int = 200
    ) -> tuple[list[dict[str, Any]], str]:
        with store_errors():
            reader = MongoReader(self._mongo, query)
            return read_after(reader, query, cursor, limit, self._deadline)

    def get(self, record_id: str) -> dict[str, Any] | None:
        if (known := valid_id(record_id)) is None:
            return None
        with store_errors():
            document = self._mongo.collection(LOGS).find_one({"_id": known})
        return from_document(document) if document else None

    def count_by(self, query: LogQuery, field: str) -> list[tuple[Any, int]]:
        groups = self.group_by(query, [field])
        return [(group.values[0], group.count) for group in groups]

    def group_by(self, query: LogQuery, fields: Sequence[str], limit: int = 100) -> list[Group]:
        with store_errors():
            return read_groups(self._mongo, query, fields, limit)

    def with_counts(self, work: Callable[[MongoCounts], T], *, change: bool = False) -> T:
        with store_errors():
            if not change:
                return work(getattr(self._held, "counts", None) or MongoCounts(self._mongo))
            # A batch that adds to the same counts is a conflict: then this is done again.
            return self._mongo.transaction(lambda session: work(MongoCounts(self._mongo, session)))

    def _occurrences(self, fingerprints: Sequence[str], floor: str) -> Mapping[str, Occurrences]:
        with store_errors():
            return read_occurrences(self._mongo, fingerprints, floor)

    def checkpoints(self, source: str) -> list[Checkpoint]:
        with store_errors():
            found = list(self._mongo.collection(CHECKPOINTS).find({"source": {"$eq": source}}))
        return [
            Checkpoint(one["source"], one["segment"], one["offset"], one["sealed"], one["next_seq"])
            for one in found
        ]

    def forget(self, source: str, segment: str) -> None:
        def work(session: ClientSession) -> None:
            checkpoints = self._mongo.collection(CHECKPOINTS)
            mine = list(checkpoints.find({"source": {"$eq": source}}, session=session))
            gone = [one for one in mine if one["segment"] == segment]
            others = [one["next_seq"] for one in mine if one["segment"] != segment]
            # The highest number a host has given must stay, or its next record gets it again.
            if gone and others and max(others) >= gone[0]["next_seq"]:
                checkpoints.delete_one({"_id": gone[0]["_id"]}, session=session)

        with store_errors():
            self._mongo.transaction(work)

    def expired(
        self, keep: str, before: str, after_id: str | None = None, limit: int = 1000
    ) -> list[dict[str, Any]]:
        with store_errors():
            return mongo_retention.read_expired(self._mongo, keep, before, after_id, limit)

    def purge(self, keep: str, ids: Sequence[str]) -> int:
        with store_errors():
            return mongo_retention.delete_records(self._mongo, keep, ids)

    def wholes(self, keep: str, before: str) -> list[Stretch] | None:  # noqa: ARG002
        return None

    def drop(self, stretch: Stretch, count: int) -> bool:  # noqa: ARG002
        return False

    def lease(self, name: str, holder: str, seconds: float) -> bool:
        with store_errors():
            return mongo_retention.take_lease(self._mongo, name, holder, seconds)
