"""The state as the logs define it, without a worker: what an owner would have that took over now, and what the whole
input says. The two are equal when nothing was lost and nothing invented."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl
from confluent_kafka import OFFSET_BEGINNING, KafkaException, TopicPartition

from cosmo.runtime.errors import CosmoError
from cosmo.runtime.settings import Settings
from schemas.codec import Codec
from schemas.errors import Undecodable
from schemas.records import PairCounts, SampleState
from schemas.registry import SchemaLookup
from streams import topics
from streams.blocks import NotABlock
from streams.ingest.facts import Tables
from streams.kafka.clients import admin, group_reader
from streams.kafka.reading import read_to_end
from streams.state.kafka import read_live
from streams.state.log import unite
from streams.state.partition import PartitionState
from streams.state.taken import tables_of

TIMEOUT_S = 30.0
_BLOCKS_AT_ONCE = 64


@dataclass(slots=True)
class Replay:
    """Reads the logs of one topic prefix. Every method blocks and raises CosmoError when the brokers do not answer."""

    settings: Settings
    registry: SchemaLookup
    empty: Callable[[], PartitionState] = PartitionState
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def durable(self, partition: int) -> PartitionState:
        """1. the committed offset, 2. the live segments, 3. the blocks from that offset on. In this order, because
        segments read after the offset hold everything before it. StopWorker if a segment cannot be read."""
        first_offset = self._committed(partition)
        codec = Codec(topics.SAMPLE_STATE.name, SampleState, self.registry)
        state = self.empty()
        unite(state, read_live(self.settings, codec, self._topic(topics.SAMPLE_STATE), partition))
        self._add_blocks(state, partition, first_offset)
        return state

    def whole(self, partition: int) -> PartitionState:
        """The union of every block that the log still holds; segments are not looked at."""
        state = self.empty()
        self._add_blocks(state, partition, OFFSET_BEGINNING)
        return state

    def fingerprints(self, read: Callable[[int], PartitionState]) -> dict[int, str]:
        """Fingerprint of each partition, by `durable` or `whole`."""
        return {number: read(number).fingerprint() for number in range(self._partitions())}

    def _add_blocks(self, state: PartitionState, partition: int, first_offset: int) -> None:
        codec = Codec(topics.PAIR_COUNTS.name, PairCounts, self.registry)
        waiting: list[Tables] = []
        topic = self._topic(topics.PAIR_COUNTS)
        for record in read_to_end(self.settings, topic, partition, first_offset=first_offset):
            try:
                waiting.append(tables_of(codec.decode(record.value, record.headers), self.now()).tables)
            except (Undecodable, NotABlock):
                continue  # a dead letter, for whoever consumes it
            if len(waiting) == _BLOCKS_AT_ONCE:
                _add(state, waiting)
        _add(state, waiting)

    def _committed(self, partition: int) -> int:
        group = topics.group("sample", self.settings.topic_prefix)
        wanted = TopicPartition(self._topic(topics.PAIR_COUNTS), partition)
        reader = group_reader(self.settings, group)
        try:
            (found,) = reader.committed([wanted], timeout=TIMEOUT_S)
            if found.error is not None:
                raise KafkaException(found.error)
        except KafkaException as error:
            raise CosmoError(f"The brokers do not tell the offsets of {group}: {error}.") from error
        finally:
            reader.close()
        return int(found.offset) if found.offset >= 0 else OFFSET_BEGINNING

    def _partitions(self) -> int:
        topic = self._topic(topics.PAIR_COUNTS)
        return len(admin(self.settings).list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions)

    def _topic(self, topic: topics.Topic) -> str:
        return self.settings.topic_prefix + topic.name


def _add(state: PartitionState, blocks: list[Tables]) -> None:
    """Union with the blocks, and forget them. They are merged as if loaded: nobody will flush this state."""
    if blocks:
        state.merge_table("facts", pl.concat([block.facts for block in blocks]))
        state.merge_table("heads", pl.concat([block.heads for block in blocks]))
        state.merge_table("products", pl.concat([block.products for block in blocks]))
        blocks.clear()
