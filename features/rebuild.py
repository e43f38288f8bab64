"""Fills Redis from the log of intents, while the stream goes on.

The log is the truth, and a merge is idempotent and does not mind the order; so a rebuild is nothing but the stream
once more. It races with the materialize worker without harm: both write with compare-and-set, and whoever comes second
merges into what the first wrote. What the worker retracts meanwhile stays retracted, since a retraction is remembered
in the row. What comes into the log after the rebuild has begun reaches the worker as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from cosmo.runtime import logs
from cosmo.runtime.settings import Settings
from features import project
from features.entities import check, slot_of
from features.errors import EmptiedAgain, LogUnreadable, UnusableIntent
from features.knowledge.fold import Latest
from features.knowledge.log import IntentLog, Record, decoded, intents_codec
from features.materialize.handler import by_entity, merge_rule
from features.merge import EntityState, merge
from features.online.redis_store import connect
from features.online.retry import persistently
from features.online.store import OnlineStore, Ref
from features.online.writer import Writer
from inference.entities import entities_of
from schemas.codec import Codec
from schemas.errors import Reason
from schemas.records import EntityIntent, Intent
from schemas.registry import SchemaLookup

log = logs.get(__name__)
Progress = Callable[[int, int], None]
"""Told how many offsets have been passed, of how many; the log is read twice, and once more if rows are damaged."""
UNFRAMED = (Reason.EMPTY_VALUE, Reason.WRONG_MAGIC, Reason.TRUNCATED_FRAME, Reason.BAD_SCHEMA_HEADER)
"""Of no registry: nobody can read these, here or elsewhere."""
MENDED_AT_ONCE = 2_000
"""Damaged rows whose states are held while the log is read for them: 20 to 60 MB."""


@dataclass(slots=True, kw_only=True)
class Rebuilt:
    """What a rebuild has done so far."""

    records: int = 0
    merged: int = 0
    """Records, also those that a later record of their key has replaced since."""
    intents: int = 0
    """Those of them that stand: the last of their key."""
    retracted: int = 0
    """Those of them whose key a tombstone has retracted since."""
    unusable: int = 0
    """Records that cannot be read or say nothing that could be stored; the log names each."""
    undecodable: int = 0
    """Those of them that name a schema: the registry that they were written with may let us read them, or a newer
    build. In another registry the same id often is another schema."""
    rows: set[Ref] = field(default_factory=set)
    damaged: set[Ref] = field(default_factory=set)
    """Rows that could not be read, and are written anew; they are among ``rows``."""


@dataclass(slots=True)
class Rebuild:
    """One rebuild. May be interrupted and run again at any moment; readers are served again when it is done."""

    log: IntentLog
    codec: Codec[Intent]
    store: OnlineStore
    writer: Writer
    progress: Progress = lambda _passed, _total: None
    leave_out_unreadable: bool = False
    """Let readers in whatever could not be read."""
    done: Rebuilt = field(default_factory=Rebuilt)
    _passed: int = 0
    _readings: int = 2

    async def run(self) -> Rebuilt:
        """1. find what is retracted, 2. merge everything, 3. write damaged rows anew, 4. mark Redis as applied, which
        lets readers in. Raises EmptiedAgain when it was emptied meanwhile, LogUnreadable when readers would miss what
        another registry can read, or most of the log."""
        life = await persistently(self.store.life, dependency="online store")
        latest = await asyncio.to_thread(self._latest)
        batches = self.log.records(self._pass)
        while (records := await asyncio.to_thread(lambda: next(batches, None))) is not None:
            await self._merge(records, latest)
        damaged = list(self.done.damaged)
        for start in range(0, len(damaged), MENDED_AT_ONCE):
            await self._mend(damaged[start : start + MENDED_AT_ONCE], latest)
        if not self.leave_out_unreadable:
            _check(self.done, self.log.topic)
        await persistently(lambda: self._mark(life), dependency="online store")
        return self.done

    async def _mark(self, life: str) -> None:
        if await self.store.life() != life:
            raise EmptiedAgain("Redis was emptied while it was being filled.", advice="Run `cosmo features rebuild`.")
        await self.store.mark_applied(project.fingerprint())

    def _latest(self) -> Latest:
        latest = Latest()
        for records in self.log.records(self._pass):
            latest.add(records)
        return latest

    async def _merge(self, records: Sequence[Record], latest: Latest) -> None:
        self.done.records += len(records)
        changes = by_entity(await asyncio.to_thread(lambda: list(self._entity_intents(records, latest, self.done))))
        applied = await self.writer.apply(changes)
        self.done.rows.update(changes)
        self.done.damaged.update(applied.damaged)

    async def _mend(self, refs: Sequence[Ref], latest: Latest) -> None:
        """A damaged row is written at once and whole: readers are told that it is damaged until it says everything."""
        self._readings += 1
        await self.writer.write_anew(await asyncio.to_thread(self._states, refs, latest))

    def _states(self, refs: Sequence[Ref], latest: Latest) -> dict[Ref, EntityState]:
        states = dict.fromkeys(refs, EntityState())
        for records in self.log.records(self._pass):
            for ref, changes in by_entity(self._entity_intents(records, latest, Rebuilt())).items():
                if ref in states:
                    slot = slot_of(ref.view, ref.key)
                    states[ref] = merge(states[ref], changes, slot_of=slot, rule=self.writer.rule)
        return states

    def _entity_intents(self, records: Sequence[Record], latest: Latest, done: Rebuilt) -> Iterator[EntityIntent]:
        def unusable(reason: Reason | None = None) -> None:
            done.unusable += 1
            done.undecodable += reason is not None and reason not in UNFRAMED

        for record, intent in decoded(self.codec, self.log.topic, records, unusable):
            retracted = latest.retracted(record)
            try:
                yield from checked(intent, retracted=retracted)
            except UnusableIntent as error:
                where = logs.at(self.log.topic, record.partition, record.offset)
                log.warning("record says nothing that could be stored", record=where, reason=error.reason)
                unusable()
                continue
            done.merged += 1
            done.retracted += retracted
            done.intents += latest.counts(record)

    def _pass(self, offsets: int) -> None:
        self._passed += offsets
        self.progress(self._passed, self._readings * self.log.offsets)


def _check(done: Rebuilt, topic: str) -> None:
    """Bytes that nobody can read are lost, and no reason to keep readers out; a schema may be in another registry."""
    if done.undecodable or done.unusable > done.merged:
        raise LogUnreadable(
            f"{done.unusable:,} of {done.records:,} records of {topic} could not be used, {done.undecodable:,} of "
            "them with the schema that the registry has by their id; the log names each. Who was out stays out.",
            advice="Check that SCHEMA_REGISTRY_URL is the registry that they were written with, and run it again; "
            "--leave-out-unreadable serves what could be read.",
        )


def checked(intent: Intent, *, retracted: bool) -> Iterable[EntityIntent]:
    """What the intent says of each of its entities. Raises UnusableIntent."""
    made = [
        EntityIntent(entity_kind=kind, entity_key=key, retracted=retracted, intent=intent)
        for kind, key in entities_of(intent)
    ]
    for record in made:
        check(record)
    return made


async def rebuild(
    settings: Settings, registry: SchemaLookup, progress: Progress, *, leave_out_unreadable: bool = False
) -> Rebuilt:
    """Rebuild the features of these settings. While Redis is away it waits.

    Raises CosmoError when Kafka or the registry does not answer, StoreRefused, EmptiedAgain, LogUnreadable.
    """
    store = connect(settings)
    try:
        with IntentLog(settings) as intents:
            writer = Writer(store, merge_rule(settings))
            codec = intents_codec(registry)
            return await Rebuild(intents, codec, store, writer, progress, leave_out_unreadable).run()
    finally:
        await store.close()
