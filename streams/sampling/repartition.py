"""Moves the sampler's state to where it belongs after partitions were added to pair-counts, while no sampler runs.

State is sets, so moving is adding: 1. what belongs elsewhere is confirmed there, 2. what stays is confirmed here,
3. blocks that were taken in with it are committed, 4. what was here before is removed, the facts last. Dying in between
leaves some rows in two places; the next run moves them again, which changes nothing. It sees by the facts that there
is something to move: what is left of other tables without them would stay.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime

import polars as pl
from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, Message, TopicPartition

from cosmo.runtime.deadline import Deadline
from cosmo.runtime.errors import CosmoError
from cosmo.runtime.settings import Settings
from schemas.codec import Codec
from schemas.records import PairCounts, SampleState
from schemas.registry import Registry, SchemaLookup
from streams import topics
from streams.blocks import TOTALS_HEAD
from streams.fetch.handler import Bad, RawRecord
from streams.ingest.facts import Tables
from streams.kafka.admin import add_partitions
from streams.kafka.clients import admin, group_reader
from streams.kafka.dead_letters import DeadLetters
from streams.kafka.producer import ConfirmingProducer
from streams.kafka.reading import as_record, messages_to_end
from streams.sampling.blocks_in import decode
from streams.state import begun
from streams.state.kafka import lost, read_live, segment_log
from streams.state.log import unite
from streams.state.partition import SCHEMAS, PartitionState, Table
from streams.state.placement import misplaced
from streams.state.segments import Segment

TIMEOUT_S = 30.0
LOOK_S = 0.05


@dataclass(slots=True)
class Moved:
    """What a run did. ``heads`` by the partition that they were found in; ``blocks`` had not been read by a sampler."""

    partitions: int
    heads: dict[int, int] = field(default_factory=dict)
    blocks: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """All that is known of one partition: what is durable, and what waits in pair-counts behind the commit."""

    state: PartitionState
    segments: Sequence[Segment]
    """Those that hold the durable part."""
    unread: Sequence[RawRecord]
    bad: Sequence[Bad]


@dataclass(frozen=True, slots=True)
class Repartition:
    """One run of it. Every method raises CosmoError when the brokers or the registry do not answer."""

    settings: Settings
    registry: SchemaLookup
    producer: ConfirmingProducer
    now: datetime

    async def run(self, wanted: int = 0) -> Moved:
        """Give pair-counts and sample-state ``wanted`` partitions, or as many as the larger has; then look at every
        partition, and move what does not belong there."""
        await asyncio.to_thread(self._nobody_runs)
        partitions = await asyncio.to_thread(self._grow, wanted)
        moved = Moved(partitions=partitions)
        for number in range(partitions):
            found = await asyncio.to_thread(self._found, number)
            away = misplaced(found.state.heads(), number, partitions)
            if away.len():
                await self._move(number, found, partitions)
                moved.heads[number] = away.len()
                moved.blocks += len(found.unread)
        return moved

    async def _move(self, number: int, found: Found, partitions: int) -> None:
        tables = {table: found.state.snapshot(table) for table in SCHEMAS}
        for target in [*(other for other in range(partitions) if other != number), number]:  # here last: 1. before 2.
            part = await asyncio.to_thread(_of_partition, tables, target, partitions)
            await segment_log(self.settings, self.producer, self.registry, target).flush(part)
        await self._bury(number, found.bad)
        store = segment_log(self.settings, self.producer, self.registry, number).store
        if found.unread:
            await store.put(number, begun.KEY, begun.note())  # no sampler may have been here yet
            await asyncio.to_thread(self._commit, number, found.unread[-1].offset + 1)
        for facts in (False, True):
            old = [segment.key for segment in found.segments if (segment.table == "facts") is facts]
            await asyncio.gather(*(store.put(number, key, None) for key in old))

    def _grow(self, wanted: int) -> int:
        sizes = {name: self.producer.partitions(name) for name in (self._pair_counts, self._state)}
        partitions = max(wanted, *sizes.values())
        for name, size in sizes.items():
            if size < partitions:
                add_partitions(self.settings, name, partitions)
                self._until_known(name, partitions)
        return partitions

    def _until_known(self, name: str, partitions: int) -> None:
        """The controller has them; the brokers tell the producer, which refuses to send to others than it knows of."""
        deadline = Deadline.after(TIMEOUT_S)
        while self.producer.partitions(name) < partitions:
            if deadline.expired:
                raise CosmoError(f"No broker tells of the new partitions of {name}.", advice="Run it again.")
            time.sleep(LOOK_S)

    def _found(self, number: int) -> Found:
        """In the order of `streams.state.replay.Replay.durable`, for the same reason."""
        first_offset = self._committed(number)
        state = PartitionState()
        codec = Codec(topics.SAMPLE_STATE.name, SampleState, self.registry)
        stored = read_live(self.settings, codec, self._state, number)
        if not stored and first_offset >= 0 and (error := lost(self.settings, number)) is not None:
            raise error
        segments = unite(state, stored)
        unread = list(self._unread(number, first_offset))
        blocks = decode(Codec(topics.PAIR_COUNTS.name, PairCounts, self.registry), unread, self.now)
        state.add(blocks.tables)
        return Found(state, segments, unread, blocks.bad)

    def _unread(self, number: int, first_offset: int) -> Iterator[RawRecord]:
        for message in messages_to_end(self.settings, self._pair_counts, number, first_offset=first_offset):
            yield _record(message)

    async def _bury(self, number: int, bad: Sequence[Bad]) -> None:
        letters = DeadLetters(self.producer)
        for one in bad:
            await (await letters.enqueue(self._pair_counts, number, one))

    def _nobody_runs(self) -> None:
        """A sampler would go on with what it has in memory, and write it back."""
        asked = admin(self.settings)
        try:
            group = asked.describe_consumer_groups([self._group], request_timeout=TIMEOUT_S)[self._group].result()
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                return
            raise CosmoError(f"The brokers do not tell who is in {self._group}: {error.args[0].str()}.") from error
        if group.members:
            raise CosmoError(
                f"{len(group.members)} sample workers are running.",
                advice="Stop them first; one that was killed leaves its group after COSMO_SESSION_TIMEOUT_S.",
            )

    def _committed(self, number: int) -> int:
        with closing(group_reader(self.settings, self._group)) as reader:
            (found,) = reader.committed([TopicPartition(self._pair_counts, number)], timeout=TIMEOUT_S)
        if found.error is not None:
            raise CosmoError(f"The brokers do not tell the offsets of {self._group}: {found.error.str()}.")
        return int(found.offset) if found.offset >= 0 else OFFSET_BEGINNING

    def _commit(self, number: int, offset: int) -> None:
        with closing(group_reader(self.settings, self._group)) as reader:
            reader.commit(offsets=[TopicPartition(self._pair_counts, number, offset)], asynchronous=False)

    @property
    def _group(self) -> str:
        return topics.group("sample", self.settings.topic_prefix)

    @property
    def _pair_counts(self) -> str:
        return self.settings.topic_prefix + topics.PAIR_COUNTS.name

    @property
    def _state(self) -> str:
        return self.settings.topic_prefix + topics.SAMPLE_STATE.name


def _of_partition(tables: Mapping[Table, pl.DataFrame], number: int, partitions: int) -> PartitionState:
    """What of the tables belongs to a partition, as gains of a new state. Of products, those of its pairs."""
    home = pl.col("head") % partitions == number
    facts, state = tables["facts"].filter(home & (pl.col("head") != TOTALS_HEAD)), PartitionState()
    if facts.is_empty():
        return state
    totals = tables["facts"].filter(pl.col("head") == TOTALS_HEAD)
    known = pl.concat([facts["head"], facts["other"]]).unique()
    products = tables["products"].filter(pl.col("product").is_in(known.implode()))
    state.add(Tables(facts=pl.concat([facts, totals]), heads=tables["heads"].filter(home), products=products))
    state.ask(tables["asked"].filter(home))
    return state


def _record(message: Message) -> RawRecord:
    record = as_record(message)
    key = record.key if message.key() is not None else None
    return RawRecord(record.offset, message.timestamp()[1], key, record.value, record.headers)


async def repartition(settings: Settings, wanted: int = 0) -> Moved:
    """`Repartition.run` on the stack that the settings name."""
    with closing(Registry(settings)) as registry:
        async with ConfirmingProducer(settings) as producer:
            return await Repartition(settings, registry, producer, datetime.now(UTC)).run(wanted)
