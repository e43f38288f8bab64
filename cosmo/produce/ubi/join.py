"""Events joined to their queries by query_id, whatever the order and however many there are.

Queries, and the events that come before them, are kept in a temporary SQLite file; memory holds its cache only. An
event goes at once when its query has been seen, otherwise at the end of the input, when every query has.
"""

from __future__ import annotations

import pickle
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from cosmo.produce.lines import Line
from cosmo.produce.outcomes import Headers, LineReason, Outcome, Passed, PassedOver, Refusal, Sendable
from cosmo.produce.ubi.documents import Query, Searched
from cosmo.runtime.errors import CosmoError
from schemas.errors import Reason

CACHE_KIB = 64 * 1024
"""Memory for the queries seen; beyond it SQLite uses its temporary file, about 150 bytes a query."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event whose query has not been seen yet."""

    line: Line
    event: Searched
    key: bytes | None
    headers: Headers


class Join:
    """The queries seen, and the events that wait for theirs. Raises CosmoError when the temporary file fails."""

    def __init__(self) -> None:
        self._store = sqlite3.connect("", isolation_level=None)  # a file of this connection only, gone with it
        self._store.executescript(
            f"""
            PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -{CACHE_KIB};
            CREATE TABLE query (id TEXT PRIMARY KEY, text TEXT, client TEXT) WITHOUT ROWID;
            CREATE TABLE waiting (event BLOB);
            BEGIN;
            """
        )

    def close(self) -> None:
        self._store.close()

    def add_query(self, line: Line, query: Query) -> Outcome:
        """Remember the query; refused where its id was given to another one before."""
        with _file_errors():
            known = self._find(query.query_id)
            if known is None:
                row = tuple(map(_storable, (query.query_id, query.text, query.client)))
                self._store.execute("INSERT INTO query VALUES (?, ?, ?)", row)
        if known is not None and known.text != query.text:
            detail = f"query_id {query.query_id[:50]!r} was another query before"
            return Refusal(line, LineReason.CONFLICTING_QUERY, detail)
        return PassedOver(line, Passed.QUERY)

    def add_event(self, waiting: Waiting) -> Outcome | None:
        """The event with its query; None when it has to wait until `rest`."""
        record = waiting.event.record
        if waiting.event.query_id is None or (record.query and record.session_id):
            return self._joined(waiting, None)
        with _file_errors():
            query = self._find(waiting.event.query_id)
            if query is None:
                self._store.execute("INSERT INTO waiting VALUES (?)", (pickle.dumps(waiting),))
                return None
        return self._joined(waiting, query)

    def rest(self) -> Iterator[Outcome]:
        """The events that waited, in their order; refused where their query was never seen."""
        with _file_errors():
            for (stored,) in self._store.execute("SELECT event FROM waiting ORDER BY rowid"):
                waiting: Waiting = pickle.loads(stored)
                yield self._joined(waiting, self._find(waiting.event.query_id or ""))

    def _joined(self, waiting: Waiting, query: Query | None) -> Outcome:
        record = waiting.event.record
        if query is None and not record.query:
            return Refusal(waiting.line, LineReason.QUERY_NOT_FOUND, _not_found(waiting.event.query_id))
        session = record.session_id or (query and query.client) or ""
        if not session:
            detail = "neither session_id nor client_id is there"
            return Refusal(waiting.line, Reason.EMPTY_SESSION_ID, detail)
        text = record.query or (query.text if query else "")
        return Sendable(waiting.line, replace(record, query=text, session_id=session), waiting.key, waiting.headers)

    def _find(self, query_id: str) -> Query | None:
        row = self._store.execute("SELECT text, client FROM query WHERE id = ?", (_storable(query_id),)).fetchone()
        return None if row is None else Query(query_id=query_id, text=_restored(row[0]) or "", client=_restored(row[1]))


def _not_found(query_id: str | None) -> str:
    if query_id is None:
        return "neither query_id nor user_query is there"
    return f"no line has the query {query_id[:50]!r}"


def _storable(text: str | None) -> bytes | None:
    """JSON can hold half of a surrogate pair, SQLite's text cannot; the rules on values refuse it later."""
    return None if text is None else text.encode("utf-8", "surrogatepass")


def _restored(stored: bytes | None) -> str | None:
    return None if stored is None else stored.decode("utf-8", "surrogatepass")


@contextmanager
def _file_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise CosmoError(
            f"The temporary file of queries fails: {error}.",
            advice="Make room in the folder for temporary files, or choose another with SQLITE_TMPDIR.",
        ) from error
