"""Takes fetches of ``entity-intents`` and keeps the features of their entities."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cosmo.runtime import logs
from cosmo.runtime.deadline import Deadline
from cosmo.runtime.metrics import counter, histogram
from cosmo.runtime.settings import Settings
from features import project
from features.entities import check, view_of
from features.errors import DamagedRow, UnusableIntent
from features.merge import Change, MergeRule, evidence_key
from features.offline.history import History
from features.online import eviction
from features.online.redis_store import connect
from features.online.store import Ref
from features.online.writer import Writer
from features.rank import RankRule
from features.whole import Door
from inference.sink import IntentSink
from schemas.codec import Codec
from schemas.errors import Undecodable
from schemas.records import EntityIntent
from schemas.registry import SchemaLookup
from streams import topics
from streams.fetch.handler import Bad, Fetch, RawRecord
from streams.kafka.dead_letters import DeadLetters
from streams.kafka.producer import ConfirmingProducer

log = logs.get(__name__)

SLICE = 1_000
"""Records decoded and written at a time: the first of a large fetch need not wait for the last."""


@dataclass(frozen=True, slots=True)
class Good:
    """A record, and what it says."""

    record: RawRecord
    intent: EntityIntent


@dataclass(frozen=True, slots=True)
class Decoded:
    """A slice of a fetch, taken apart."""

    good: Sequence[Good]
    bad: Sequence[Bad]


@dataclass(slots=True)
class MaterializeHandler:
    """Merges intents into the online store, and appends what became visible to the offline store.

    At least once: a record that comes again merges to the same state and writes nothing. While Redis is away, or was
    emptied and is not rebuilt, `handle` does not return, so lag grows and memory does not.
    """

    codec: Codec[EntityIntent]
    writer: Writer
    history: History
    dead_letters: DeadLetters
    sink: IntentSink
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    look_at_store: Callable[[], Awaitable[None]] | None = None

    async def start(self) -> None:
        """Look once whether the store is one that keeps what it is given. What is used of it is connected by the first
        fetch, and may be waited for there."""
        if self.look_at_store is not None:
            await self.look_at_store()

    async def assigned(self, topic: str, partitions: frozenset[int]) -> None:
        """Nothing: the state is in the store."""

    async def revoked(self, topic: str, partitions: frozenset[int]) -> None:
        """Nothing: what is in flight may finish, as the store refuses a stale write."""

    async def stop(self, deadline: Deadline) -> None:
        """Write the offline rows that are held, so that their fetches can be acked, and let connections go."""
        await asyncio.wait_for(self.history.close(), deadline.remaining_s)
        await self.writer.store.close()

    async def handle(self, fetch: Fetch) -> Awaitable[None]:
        """1. merge and write online, 2. append offline; what is returned finishes when both, dead letters, and what had
        to be written to the log again, are confirmed."""
        promises: list[Awaitable[None]] = []
        for start in range(0, len(fetch.records), SLICE):
            part = Fetch(fetch.topic, fetch.partition, fetch.records[start : start + SLICE])
            decoded = await asyncio.to_thread(decode, self.codec, part.records)
            applied = await self.writer.apply(by_entity(one.intent for one in decoded.good))
            bad = [*decoded.bad, *_of_damaged_rows(decoded.good, applied.damaged)]
            self.dead_letters.account(part, bad)
            promises += [await self.dead_letters.enqueue(fetch.topic, fetch.partition, one) for one in bad]
            self._observe_freshness(one.intent for one in decoded.good if ref_of(one.intent) not in applied.damaged)
            promises.append(await self.history.append(applied.versions))
            promises += [await self._write_again(change) for change in applied.overtaken.values()]
        return _all(promises)

    async def _write_again(self, change: Change) -> Awaitable[None]:
        """What an older edition, coming late, has overtaken in the log too (a zombie's, or a replay's)."""
        counter("cosmo_intents_written_again_total").inc()
        log.info("older evidence came late", evidence=evidence_key(change.intent), retracted=change.retracted)
        return await self.sink.write_again(change.intent, retracted=change.retracted)

    def _observe_freshness(self, records: Iterable[EntityIntent]) -> None:
        """From the newest event behind an intent until readers can see it."""
        now, freshness = self.now(), histogram("cosmo_feature_freshness_seconds")
        for record in records:
            if not record.retracted:
                view = view_of(record.entity_kind, record.intent)
                freshness.labels(view.name).observe((now - record.intent.event_time).total_seconds())


def decode(codec: Codec[EntityIntent], records: Sequence[RawRecord]) -> Decoded:
    """Every record ends in one list or the other, in order."""
    good: list[Good] = []
    bad: list[Bad] = []
    for record in records:
        try:
            decoded = codec.decode(record.value, record.headers)
            check(decoded)
        except (Undecodable, UnusableIntent) as error:
            bad.append(Bad(record, str(error.reason), error.detail))
        else:
            good.append(Good(record, decoded))
    return Decoded(good, bad)


def by_entity(records: Iterable[EntityIntent]) -> dict[Ref, list[Change]]:
    """The changes of each row, in order."""
    changes: dict[Ref, list[Change]] = {}
    for record in records:
        changes.setdefault(ref_of(record), []).append(Change(intent=record.intent, retracted=record.retracted))
    return changes


def ref_of(record: EntityIntent) -> Ref:
    """The row that the record is about."""
    return Ref(view_of(record.entity_kind, record.intent), record.entity_key)


DAMAGED_ROW = "damaged_row"


def _of_damaged_rows(good: Iterable[Good], damaged: Mapping[Ref, DamagedRow]) -> list[Bad]:
    """Records whose row cannot be read. Merged into nothing they would pass for all that is known of their entity; so
    the row waits for a rebuild from the log, and they wait among the dead letters, in case the rebuild has passed by
    their place in the log already."""
    if not damaged:
        return []
    found = ((one, damaged.get(ref_of(one.intent))) for one in good)
    return [Bad(one.record, DAMAGED_ROW, error.what) for one, error in found if error is not None]


def merge_rule(settings: Settings) -> MergeRule:
    """How this deployment ranks and cuts; the same for the worker and for a rebuild."""
    half_life_s = settings.features_half_life_s
    return MergeRule(top_k=settings.features_top_k, rank=RankRule(half_life_s=half_life_s))


def build(
    settings: Settings, producer: ConfirmingProducer, dead_letters: DeadLetters, registry: SchemaLookup
) -> MaterializeHandler:
    """The handler as the worker runs it."""
    store = connect(settings)
    return MaterializeHandler(
        codec=Codec(topics.ENTITY_INTENTS.name, EntityIntent, registry),
        writer=Writer(store, merge_rule(settings), door=Door(store, settings)),
        history=History(project.offline_directory(settings), settings.features_offline_flush_s),
        dead_letters=dead_letters,
        sink=IntentSink(producer, registry, settings.topic_prefix),
        look_at_store=lambda: eviction.warn(settings),
    )


async def _all(promises: Sequence[Awaitable[None]]) -> None:
    await asyncio.gather(*promises)
