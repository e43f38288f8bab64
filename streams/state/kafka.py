"""Segments in Kafka: the compacted topic sample-state, partition by partition, the segment's id as key."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from confluent_kafka import KafkaException, TopicPartition

from cosmo.runtime.errors import CosmoError, StopWorker
from cosmo.runtime.logs import at
from cosmo.runtime.settings import Settings
from schemas.codec import Codec
from schemas.errors import Undecodable
from schemas.records import SampleState
from schemas.registry import SchemaLookup
from streams import topics
from streams.kafka.clients import group_reader
from streams.kafka.lag import TIMEOUT_S, end_offsets, start_offsets
from streams.kafka.producer import ConfirmingProducer
from streams.kafka.reading import LogRecord, read_to_end
from streams.state.log import SegmentLog, Stored


@dataclass(frozen=True, slots=True)
class KafkaSegments:
    """`streams.state.log.SegmentStore` on the topic sample-state."""

    settings: Settings
    producer: ConfirmingProducer
    codec: Codec[SampleState]
    topic: str

    async def put(self, partition: int, key: str, record: SampleState | None) -> None:
        value = None if record is None else self.codec.encode(record)
        await self.producer.send(self.topic, value, key=key.encode(), partition=partition)

    async def read(self, partition: int) -> Sequence[Stored]:
        return await asyncio.to_thread(read_live, self.settings, self.codec, self.topic, partition)


def segment_log(settings: Settings, producer: ConfirmingProducer, registry: SchemaLookup, partition: int) -> SegmentLog:
    """The durable state of one partition of pair-counts."""
    codec = Codec(topics.SAMPLE_STATE.name, SampleState, registry)
    topic = settings.topic_prefix + topics.SAMPLE_STATE.name
    return SegmentLog(
        KafkaSegments(settings, producer, codec, topic),
        partition,
        lost=lambda: asyncio.to_thread(lost, settings, partition),
    )


def read_live(settings: Settings, codec: Codec[SampleState], topic: str, partition: int) -> list[Stored]:
    """The live segments of a partition up to its end. Blocks. StopWorker if a record is not a segment."""
    newest: dict[bytes, LogRecord] = {}
    for record in read_to_end(settings, topic, partition):
        newest.pop(record.key, None)
        if record.value is not None:
            newest[record.key] = record
    return [_stored(codec, record, at(topic, partition, record.offset)) for record in newest.values()]


def _stored(codec: Codec[SampleState], record: LogRecord, where: str) -> Stored:
    try:
        return Stored(record.key.decode(errors="replace"), codec.decode(record.value, record.headers), where)
    except Undecodable as error:
        raise StopWorker(
            f"The sampler's state cannot be loaded: {where} is not a segment; {error.detail}.",
            advice="Find who else writes to this topic, and remove the record by a tombstone of its key.",
        ) from error


def lost(settings: Settings, partition: int) -> StopWorker | None:
    """What to say of a partition that has no state, if the sampler has committed blocks that pair-counts still holds.
    Without a commit, or with one at the log's beginning, all that is there will be counted. Blocks; raises CosmoError
    when the brokers do not tell."""
    group, prefix = topics.group("sample", settings.topic_prefix), settings.topic_prefix
    blocks = prefix + topics.PAIR_COUNTS.name, partition
    with closing(group_reader(settings, group)) as reader:
        try:
            (found,) = reader.committed([TopicPartition(*blocks)], timeout=TIMEOUT_S)
            if found.error is not None:
                raise KafkaException(found.error)
            if found.offset < 0:
                return None
            within = start_offsets(reader, [blocks])[blocks] < found.offset <= end_offsets(reader, [blocks])[blocks]
        except KafkaException as error:
            raise CosmoError(f"The brokers do not tell the offsets of {group}: {error.args[0].str()}.") from error
    return (
        _gone(f"{prefix}{topics.SAMPLE_STATE.name}[{partition}]", group, at(*blocks, found.offset)) if within else None
    )


def _gone(state: str, group: str, blocks: str) -> StopWorker:
    return StopWorker(
        f"The sampler's state is gone: {state} is empty, and {group} has committed up to {blocks}.",
        advice='Counts would begin again from nothing. See "A sampler\'s state that is gone" in docs/operations.md.',
    )
