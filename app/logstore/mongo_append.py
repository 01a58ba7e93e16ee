"""Write batches into the MongoDB log store: each record once, and no record stops the others."""

import logging
from collections import Counter
from collections.abc import Sequence

from pymongo.client_session import ClientSession

from app.logstore.contract import Checkpoint
from app.logstore.counts import tally
from app.logstore.halving import refused_among
from app.logstore.mongo_client import Document, Mongo
from app.logstore.mongo_counts import MongoCounts, counted_of
from app.logstore.mongo_documents import CHECKPOINTS, LOGS, to_document
from app.logstore.mongo_errors import refuses_data
from app.logstore.record import LogRecord, encoded
from app.models.types import utc_now

_log = logging.getLogger(__name__)
_Documents = Sequence[Document]


class MongoAppender:
    """Append batches to one database."""

    def __init__(self, mongo: Mongo) -> None:
        self._mongo = mongo
        self.refused: Counter[str] = Counter()

    def append(self, records: Sequence[LogRecord], checkpoint: Checkpoint) -> list[str]:
        """Store records and checkpoint in one transaction; return the ids that were new."""
        documents = [
            to_document(record, checkpoint.source, seq)
            for seq, record in enumerate(records, checkpoint.next_seq)
        ]
        try:
            return self._write(documents, checkpoint, len(records))
        except Exception as error:
            if not refuses_data(error):
                raise
        return self._write_with_care(records, documents, checkpoint)

    def _write(self, documents: _Documents, checkpoint: Checkpoint, count: int) -> list[str]:
        def work(session: ClientSession) -> list[str]:
            new = self._insert(documents, session)
            self._keep(checkpoint, count, session)
            MongoCounts(self._mongo, session).add(tally(map(counted_of, new)))
            return [one["_id"] for one in new]

        return self._mongo.transaction(work)

    def _write_with_care(
        self, records: Sequence[LogRecord], documents: _Documents, checkpoint: Checkpoint
    ) -> list[str]:
        """Write the batch without what the store refuses, and that in a form it takes."""
        refused = {one["seq"] for one in refused_among(documents, self._accepts)}
        shells = [
            to_document(encoded(record), checkpoint.source, document["seq"])
            for record, document in zip(records, documents, strict=True)
            if document["seq"] in refused
        ]
        taken = [shell for shell in shells if self._accepts([shell])]
        sound = [document for document in documents if document["seq"] not in refused]
        new = self._write([*sound, *taken], checkpoint, len(records))
        counts = {"encoded": len(taken), "refused": len(shells) - len(taken)}
        self.refused.update(counts)
        _log.warning("The log store refused records", extra={"details": counts})
        return new

    def _accepts(self, documents: _Documents) -> bool:
        """Try documents in a transaction of their own, as the first error ends it, and undo it."""

        def work(session: ClientSession) -> None:
            self._insert(documents, session)
            session.abort_transaction()

        try:
            self._mongo.transaction(work)
        except Exception as error:
            if not refuses_data(error):
                raise
            return False
        return True

    def _insert(self, documents: _Documents, session: ClientSession) -> list[Document]:
        # A document that is there already would end the transaction.
        logs = self._mongo.collection(LOGS)
        wanted = {"_id": {"$in": [one["_id"] for one in documents]}}
        known = {one["_id"] for one in logs.find(wanted, {"_id": True}, session=session)}
        new: dict[str, Document] = {}
        for one in documents:
            if one["_id"] not in known:
                new.setdefault(one["_id"], one)
        if new:
            logs.insert_many(new.values(), session=session)
        return list(new.values())

    def _keep(self, checkpoint: Checkpoint, count: int, session: ClientSession) -> None:
        values = {
            "source": checkpoint.source,
            "segment": checkpoint.segment,
            "offset": checkpoint.offset,
            "sealed": checkpoint.sealed,
            "next_seq": checkpoint.next_seq + count,
            "updated_at": utc_now(),
        }
        key = {"_id": f"{checkpoint.source}/{checkpoint.segment}"}
        self._mongo.collection(CHECKPOINTS).replace_one(key, values, upsert=True, session=session)
