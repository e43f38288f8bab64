"""Events joined to their queries by query_id and to their products by id, whatever the order and however many.

Queries, products, and the events that come before their query, are kept in a temporary SQLite file; memory holds its
cache only. An event goes at once when its query has been seen, otherwise at the end of the input, when every query has.
"""

from __future__ import annotations

import pickle
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from cosmo.produce.lines import Line
from cosmo.produce.outcomes import Headers, LineReason, Outcome, Passed, PassedOver, Refusal, Sendable
from cosmo.produce.ubi.documents import Query, Searched
from cosmo.runtime.errors import CosmoError
from schemas.errors import Reason
from schemas.records import Product

CACHE_KIB = 64 * 1024
"""Memory for what was seen; beyond it SQLite uses its temporary file, about 150 bytes a query."""

_TABLES = f"""
    PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -{CACHE_KIB};
    CREATE TABLE query (id BLOB PRIMARY KEY, seen BLOB) WITHOUT ROWID;
    CREATE TABLE product (id BLOB PRIMARY KEY, seen BLOB) WITHOUT ROWID;
    CREATE TABLE waiting (event BLOB);
    BEGIN;
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event whose query has not been seen yet."""

    line: Line
    event: Searched
    key: bytes | None
    headers: Headers


class Join:
    """What was seen, and the events that wait for their query. Raises CosmoError when the temporary file fails."""

    def __init__(self) -> None:
        self._store = sqlite3.connect("", isolation_level=None)  # a file of this connection only, gone with it
        self._store.executescript(_TABLES)
        self._has_products = False

    def close(self) -> None:
        self._store.close()

    def add_product(self, line: Line, product: Product) -> Outcome:
        """Remember a product of the catalogue; the last one of an id stays."""
        self._keep("product", product.product_id, product)
        self._has_products = True
        return PassedOver(line, Passed.PRODUCT)

    def add_query(self, line: Line, query: Query) -> Outcome:
        """Remember the query; refused where its id was given to another one before."""
        known = self._find("query", query.query_id)
        if known is None:
            self._keep("query", query.query_id, query)
        elif known.text != query.text:
            detail = f"query_id {query.query_id[:50]!r} was another query before"
            return Refusal(line, LineReason.CONFLICTING_QUERY, detail)
        elif known.client is None and query.client is not None:  # logged twice, by server and client
            self._keep("query", query.query_id, query)
        return PassedOver(line, Passed.QUERY)

    def add_event(self, waiting: Waiting) -> Outcome | None:
        """The event with its query; None when it has to wait until `rest`."""
        record, query_id = waiting.event.record, waiting.event.query_id
        if query_id is None or (record.query and record.session_id):
            return self._joined(waiting, None)
        query = self._find("query", query_id)
        if query is None:
            with _file_errors():
                self._store.execute("INSERT INTO waiting VALUES (?)", (pickle.dumps(waiting),))
            return None
        return self._joined(waiting, query)

    def rest(self) -> Iterator[Outcome]:
        """The events that waited, in their order; refused where their query was never seen."""
        with _file_errors():
            for (stored,) in self._store.execute("SELECT event FROM waiting ORDER BY rowid"):
                waiting: Waiting = pickle.loads(stored)
                yield self._joined(waiting, self._find("query", waiting.event.query_id or ""))

    def _joined(self, waiting: Waiting, query: Query | None) -> Outcome:
        line, record = waiting.line, waiting.event.record
        if query is None and not record.query:
            return Refusal(line, LineReason.QUERY_NOT_FOUND, _not_found(waiting.event.query_id))
        session = record.session_id or (query and query.client)
        if not session:
            return Refusal(line, LineReason.MISSING_FIELD, "neither session_id nor client_id is there")
        product = self._product(record.product)
        if not product.title:
            return Refusal(line, Reason.NO_TITLE, _no_title(product, catalogue=self._has_products))
        text = record.query or (query.text if query else "")
        whole = replace(record, query=text, session_id=session, product=product)
        return Sendable(line, whole, waiting.key, waiting.headers)

    def _product(self, shown: Product) -> Product:
        """The product as it was shown; what was not said of it is taken from the catalogue."""
        known: Product | None = self._find("product", shown.product_id) if self._has_products else None
        if known is None:
            return shown
        return Product(
            product_id=shown.product_id,
            title=shown.title or known.title,
            product_type=shown.product_type or known.product_type,
            category=shown.category or known.category,
            attributes=known.attributes,
        )

    def _keep(self, table: str, name: str, seen: Query | Product) -> None:
        with _file_errors():
            self._store.execute(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", (_key(name), pickle.dumps(seen)))

    def _find(self, table: str, name: str) -> Any:
        with _file_errors():
            row = self._store.execute(f"SELECT seen FROM {table} WHERE id = ?", (_key(name),)).fetchone()
        return None if row is None else pickle.loads(row[0])  # our own, from a file that only we can open


def _key(name: str) -> bytes:
    """JSON can hold half of a surrogate pair, SQLite's text cannot; the rules on values refuse it later."""
    return name.encode("utf-8", "surrogatepass")


def _not_found(query_id: str | None) -> str:
    if query_id is None:
        return "neither query_id nor user_query is there"
    return f"no line has the query {query_id[:50]!r}"


def _no_title(product: Product, *, catalogue: bool) -> str:
    missing = "event_attributes.object.title is not there"
    if catalogue:
        return f"{missing}, and no product given has the id {product.product_id[:50]!r}"
    return f"{missing}; give the products with --products"


@contextmanager
def _file_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise CosmoError(
            f"The temporary file of queries fails: {error}.",
            advice="Make room in the folder for temporary files, or choose another with SQLITE_TMPDIR.",
        ) from error
