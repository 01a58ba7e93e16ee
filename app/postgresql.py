"""Talk to a PostgreSQL server that may stop answering."""

import contextlib

import orjson
import psycopg
from psycopg.abc import RV, PQGen
from psycopg.pq import TransactionStatus
from psycopg.types.json import set_json_loads

# Every record that is read has a value of JSON, on which the standard library spends more than on
# all the rest.
set_json_loads(orjson.loads)


class ImpatientConnection(psycopg.Connection):
    """A connection to PostgreSQL that gives up when an answer takes longer than `patience`.

    No other timeout helps against a server that is stopped while its kernel still answers.
    """

    # Seconds; None waits for ever.
    patience: float | None = 60

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        try:
            return super().wait(gen, interval, self.patience if timeout is None else timeout)
        except psycopg.OperationalError:
            if timeout is None and self.info.transaction_status == TransactionStatus.ACTIVE:
                # It still works on it: ask it to stop, if it hears, and never use this one again.
                with contextlib.suppress(psycopg.Error):
                    self.cancel_safe(timeout=2)
                self.close()
            raise
