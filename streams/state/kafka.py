"""Segments in Kafka: the compacted topic sample-state, partition by partition, the segment's id as key."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from cosmo.runtime.errors import StopWorker
from cosmo.runtime.logs import at
from cosmo.runtime.settings import Settings
from schemas.codec import Codec
from schemas.errors import Undecodable
from schemas.records import SampleState
from schemas.registry import SchemaLookup
from streams import topics
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
    return SegmentLog(KafkaSegments(settings, producer, codec, topic), partition)


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
