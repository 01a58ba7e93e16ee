"""Talk to MongoDB: a client for each process, durable writes, transactions that try again."""

import os
import random
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import pymongo
from pymongo import IndexModel, MongoClient, ReadPreference
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import (
    AutoReconnect,
    OperationFailure,
    ServerSelectionTimeoutError,
    WriteConcernError,
)
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from app.logstore.contract import StoreUnavailable
from app.logstore.mongo_errors import NO_REPLICA_SET, is_conflict

Document = dict[str, Any]
T = TypeVar("T")

_NAME = "glasshouse"  # Of the database too, if the address names none.
# What the address itself says wins.
_TIMEOUTS = {
    "serverSelectionTimeoutMS": 3000,
    "connectTimeoutMS": 3000,
    "socketTimeoutMS": 5000,
    "waitQueueTimeoutMS": 3000,
}
_INDEX_SECONDS = 600.0
_PATIENCE = 5.0  # Seconds, for others' transactions to end.
_ABANDONED_SECONDS = 1
# Only what a majority has is stored: a file is deleted because of it.
_MAJORITY = WriteConcern("majority", wtimeout=5000)


class Mongo:
    """One database of a MongoDB server; safe to use after a fork, which gets a client anew."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._clients: dict[int, MongoClient[Document]] = {}

    def collection(self, name: str) -> Collection[Document]:
        """Return a collection, for reading what cannot be undone any more."""
        return self._database()[name]

    def transaction(self, work: Callable[[ClientSession], T]) -> T:
        """Have `work` done in a transaction; again when another one was in the way."""
        stop = time.monotonic() + _PATIENCE
        while True:
            try:
                return self._try(work)
            except OperationFailure as error:
                if not is_conflict(error) or time.monotonic() >= stop:
                    raise
            self._end_abandoned()
            # Two that were in each other's way are not to meet again.
            time.sleep(random.uniform(0, 0.1))  # noqa: S311 - no secret

    def prepare(self, indexes: dict[str, list[IndexModel]]) -> None:
        """Make indexes that are not there yet. Raises StoreUnavailable without a replica set."""
        try:
            self._make(indexes)
        except ServerSelectionTimeoutError:
            raise
        except (AutoReconnect, WriteConcernError):
            # Another member became the primary meanwhile. What was made stays made.
            self._make(indexes)

    def _make(self, indexes: dict[str, list[IndexModel]]) -> None:
        database = self._database()
        hello = database.command("hello")
        if "setName" not in hello and hello.get("msg") != "isdbgrid":
            raise StoreUnavailable(NO_REPLICA_SET)
        # A large collection takes its time.
        with pymongo.timeout(_INDEX_SECONDS):
            for name, models in indexes.items():
                database[name].create_indexes(models)

    def _try(self, work: Callable[[ClientSession], T]) -> T:
        with (
            self._client().start_session() as session,
            session.start_transaction(ReadConcern("snapshot"), _MAJORITY),
        ):
            return work(session)

    def _end_abandoned(self) -> None:
        """End the transactions of processes that were killed; MongoDB itself takes a minute."""
        abandoned = {
            "type": "idleSession",
            "appName": _NAME,
            "transaction.timeInactiveMicros": {"$gte": _ABANDONED_SECONDS * 1_000_000},
        }
        pipeline: list[Document] = [{"$currentOp": {"idleSessions": True}}, {"$match": abandoned}]
        admin = self._client().admin
        # Whoever may not ask waits that minute.
        with suppress(OperationFailure):
            if found := [{"id": one["lsid"]["id"]} for one in admin.aggregate(pipeline)]:
                admin.command("killSessions", found)

    def _database(self) -> Database[Document]:
        return self._client().get_default_database(
            _NAME,
            read_preference=ReadPreference.PRIMARY,
            read_concern=ReadConcern("majority"),
            write_concern=_MAJORITY,
        )

    def _client(self) -> MongoClient[Document]:
        # Two processes on one connection would read each other's answers. The parent's client
        # stays where it is: closing it here would close it there.
        pid = os.getpid()
        if pid not in self._clients:
            lowered = self._url.lower()
            timeouts: dict[str, Any] = {
                name: value
                for name, value in _TIMEOUTS.items()
                if f"{name.lower()}=" not in lowered
            }
            # Of two threads that come here at once, both get the one that was first.
            self._clients.setdefault(
                pid, MongoClient(self._url, connect=False, appname=_NAME, **timeouts)
            )
        return self._clients[pid]
