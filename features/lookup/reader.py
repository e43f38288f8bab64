"""Reads features for those who ask: any number of keys, one round trip to Redis, no Feast on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from cosmo.runtime import logs
from cosmo.runtime.settings import Settings
from features import project
from features.errors import DamagedRow, NotApplied, StoreUnreachable
from features.lookup.answers import Answer, BatchAnswer, ProductComplements, ProductIntents, QueryIntents
from features.lookup.compose import EXPLAINED, PLAIN, Asking, compose, refused
from features.online.damage import DamagedRows
from features.online.redis_store import connect
from features.online.store import OnlineStore, Ref, Stored
from features.views import PRODUCT_COMPLEMENTS, PRODUCT_INTENTS, QUERY_INTENTS, View
from streams.text import normalize_query

READ_TIMEOUT_S = 1.0
"""A page that waits longer for its intents had better be shown without them."""
READS_IN_FLIGHT = 64
"""Each has a connection to Redis. More look-ups at once wait for one, as long as for an answer: a queue without bound
would answer everybody late when Redis is slow."""

log = logs.get(__name__)
A = TypeVar("A", bound=Answer)


@dataclass(slots=True)
class Reader:
    """Answers look-ups. Every call raises StoreUnreachable, StoreRefused, or NotApplied when Redis holds no features:
    it was emptied, and "nothing known" would be wrong in silence. A row that cannot be read raises DamagedRow when it
    is asked for alone; in a batch it has an answer of status ``damaged``, and the others have theirs."""

    store: OnlineStore
    stale_after_s: float
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    _room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(READS_IN_FLIGHT))
    _warned: bool = False
    _damaged: DamagedRows = field(default_factory=DamagedRows)

    async def query(self, text: str, *, explain: bool = False) -> QueryIntents:
        """Why shoppers search this. ``text`` is as the shopper typed it."""
        return _only(QueryIntents, await self._read_one(Ref(QUERY_INTENTS, normalize_query(text)), explain))

    async def product(self, product_id: str, *, explain: bool = False) -> ProductIntents:
        """Why shoppers buy this."""
        return _only(ProductIntents, await self._read_one(Ref(PRODUCT_INTENTS, product_id), explain))

    async def complements(self, product_id: str, *, explain: bool = False) -> ProductComplements:
        """What shoppers buy with this, and why."""
        return _only(ProductComplements, await self._read_one(Ref(PRODUCT_COMPLEMENTS, product_id), explain))

    async def batch(
        self, queries: Sequence[str], products: Sequence[str], complements: Sequence[str], *, explain: bool = False
    ) -> BatchAnswer:
        """All of them in one round trip, each in the order asked."""
        refs = [
            *_refs(QUERY_INTENTS, map(normalize_query, queries)),
            *_refs(PRODUCT_INTENTS, products),
            *_refs(PRODUCT_COMPLEMENTS, complements),
        ]
        found = [_answer(ref, one) for ref, one in zip(refs, await self._read(refs, explain), strict=True)]
        return BatchAnswer(
            queries=[one for one in found if isinstance(one, QueryIntents)],
            products=[one for one in found if isinstance(one, ProductIntents)],
            complements=[one for one in found if isinstance(one, ProductComplements)],
        )

    async def check(self) -> None:
        """Returns when Redis answers and holds features."""
        await self._read([], explain=False)

    async def close(self) -> None:
        """Let connections go."""
        await self.store.close()

    async def _read_one(self, ref: Ref, explain: bool) -> Answer:
        (found,) = await self._read([ref], explain)
        if isinstance(found, DamagedRow):
            raise found
        return found

    async def _read(self, refs: Sequence[Ref], explain: bool) -> list[Answer | DamagedRow]:
        await self._enter()
        try:
            mark, rows = await self.store.read_applied(refs, EXPLAINED if explain else PLAIN)
        finally:
            self._room.release()
        self._look_at(mark)
        asking = Asking(now=self.now(), stale_after_s=self.stale_after_s, explain=explain)
        found = [_composed(ref, stored, asking) for ref, stored in zip(refs, rows, strict=True)]
        pairs = zip(refs, found, strict=True)
        self._damaged.saw(refs, {ref: one for ref, one in pairs if isinstance(one, DamagedRow)})
        return found

    async def _enter(self) -> None:
        if not self._room.locked():  # `wait_for` would make a task of what does not wait
            await self._room.acquire()
            return
        try:
            await asyncio.wait_for(self._room.acquire(), READ_TIMEOUT_S)
        except TimeoutError as error:
            raise StoreUnreachable("Too many look-ups wait for Redis.", advice="Run more replicas.") from error

    def _look_at(self, mark: str | None) -> None:
        if mark is None:
            raise NotApplied(
                "Redis holds no features: they were never applied, or it was emptied.",
                advice="Run `cosmo features apply` if this is new, `cosmo features rebuild` if it has run before.",
            )
        if mark != project.fingerprint() and not self._warned:
            self._warned = True  # what both know is the same in both, so a rolling upgrade need not stop the readers
            log.warning("features were applied by another version", applied=mark, ours=project.fingerprint())


def build(settings: Settings) -> Reader:
    """The reader of these settings; it connects at its first call."""
    return Reader(connect(settings, timeout_s=READ_TIMEOUT_S), settings.features_stale_after_s)


def _refs(view: View, keys: Iterable[str]) -> list[Ref]:
    return [Ref(view, key) for key in keys]


def _composed(ref: Ref, stored: Stored, asking: Asking) -> Answer | DamagedRow:
    try:
        return compose(ref, stored, asking)
    except DamagedRow as error:
        return error


def _answer(ref: Ref, found: Answer | DamagedRow) -> Answer:
    return refused(ref, found) if isinstance(found, DamagedRow) else found


def _only(kind: type[A], answer: Answer) -> A:
    assert isinstance(answer, kind)  # its view decides its kind
    return answer
