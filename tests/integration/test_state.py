"""The sampler's state on a real broker: what was flushed is there after its writer is gone, whoever else wrote too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing

import pytest
import pytest_asyncio
from confluent_kafka import Producer, TopicPartition

from cosmo.runtime.errors import StopWorker
from cosmo.runtime.settings import Settings
from schemas.codec import Codec
from schemas.fixed_registry import FixedRegistry
from schemas.records import PairCounts
from streams import topics
from streams.blocks import LAYOUT, to_ipc
from streams.kafka.admin import create_topics
from streams.kafka.clients import client_config, group_reader
from streams.kafka.producer import ConfirmingProducer
from streams.state import begun
from streams.state.kafka import segment_log
from streams.state.log import SegmentLog, SegmentStore
from streams.state.partition import PartitionState
from streams.state.replay import Replay
from streams.state.segments import Index
from tests.state.examples import Fact, session, tables
from tests.state.store_contract import StoreContract

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture
async def producer(settings: Settings) -> AsyncIterator[ConfirmingProducer]:
    create_topics(settings)
    async with ConfirmingProducer(settings) as producer:
        yield producer


class TestKafkaSegments(StoreContract):
    @pytest.fixture
    def store(self, settings: Settings, producer: ConfirmingProducer) -> SegmentStore:
        return segment_log(settings, producer, FixedRegistry(), 0).store


def blocks(count: int) -> list[list[Fact]]:
    return [[(1 + n % 3, 10 + n % 4, 100 + n % 5, 1 + n % 5, session(n + m)) for m in range(20)] for n in range(count)]


def owner(settings: Settings, producer: ConfirmingProducer, partition: int = 0) -> SegmentLog:
    """A new process's view of the partition; it tidies up as often as it can."""
    log = segment_log(settings, producer, FixedRegistry(), partition)
    log.index = Index(fan_in=2, garbage_rows=0)
    return log


async def flush_each(log: SegmentLog, state: PartitionState, mine: list[list[Fact]]) -> None:
    for block in mine:
        state.add(tables(block))
        await log.flush(state)
        await log.tidied()


async def test_a_flushed_state_is_loaded_by_the_next_owner(settings: Settings, producer: ConfirmingProducer) -> None:
    state = PartitionState()
    log = owner(settings, producer)
    await flush_each(log, state, blocks(8))
    successor = owner(settings, producer)
    assert (await successor.load()).fingerprint() == state.fingerprint()
    assert successor.index.live.keys() == log.index.live.keys()


async def test_two_owners_at_once_lose_nothing(settings: Settings, producer: ConfirmingProducer) -> None:
    """Both load the same segments, add blocks of their own, and merge and remove what they know of."""
    before, mine, yours = blocks(12)[:4], blocks(12)[4:8], blocks(12)[6:]
    await flush_each(owner(settings, producer), PartitionState(), before)
    first, second = owner(settings, producer), owner(settings, producer)
    states = await asyncio.gather(first.load(), second.load())
    await asyncio.gather(flush_each(first, states[0], mine), flush_each(second, states[1], yours))
    whole = PartitionState()
    for block in [*before, *mine, *yours]:
        whole.add(tables(block))
    assert (await owner(settings, producer).load()).fingerprint() == whole.fingerprint()


async def test_the_logs_alone_define_the_state(settings: Settings, producer: ConfirmingProducer) -> None:
    """Half of the blocks are in segments, all are in the log; a damaged block is nobody's."""
    codec = Codec("pair-counts", PairCounts, FixedRegistry())
    everything = blocks(10)
    topic = settings.topic_prefix + topics.PAIR_COUNTS.name
    for block in everything:
        await producer.send(topic, codec.encode(record(block)), partition=1)
    await producer.send(topic, b"no block", partition=1)
    await flush_each(owner(settings, producer, 1), PartitionState(), everything[:5])
    whole = PartitionState()
    for block in everything:
        whole.add(tables(block))
    replay = Replay(settings, FixedRegistry())
    expected = {number: PartitionState().fingerprint() for number in range(settings.topic_partitions)}
    expected[1] = whole.fingerprint()
    assert await asyncio.to_thread(replay.fingerprints, replay.whole) == expected
    assert await asyncio.to_thread(replay.fingerprints, replay.durable) == expected


def record(block: list[Fact]) -> PairCounts:
    made = tables(block)
    return PairCounts(
        source_topic="query-purchase",
        source_partition=0,
        first_offset=0,
        last_offset=1,
        layout=LAYOUT,
        facts=to_ipc(made.facts),
        heads=to_ipc(made.heads),
        products=to_ipc(made.products),
    )


async def test_a_state_that_is_gone_though_blocks_were_committed_stops_the_load(
    settings: Settings, producer: ConfirmingProducer
) -> None:
    """Not where the next owner reads all that there is, nor where an owner has been and found nothing to keep."""
    topic = settings.topic_prefix + topics.PAIR_COUNTS.name
    for _ in range(3):
        await producer.send(topic, b"no block", partition=1)
    await commit(settings, topic, 0)
    await owner(settings, producer, 1).load()
    await commit(settings, topic, 3)
    assert (await owner(settings, producer, 1).load()).fingerprint() == PartitionState().fingerprint()
    await segment_log(settings, producer, FixedRegistry(), 1).store.put(1, begun.KEY, None)
    with pytest.raises(StopWorker, match=r"sample-state\[1\] is empty, and .*sample has .*pair-counts\[1\]@3"):
        await owner(settings, producer, 1).load()


async def commit(settings: Settings, topic: str, offset: int) -> None:
    with closing(group_reader(settings, topics.group("sample", settings.topic_prefix))) as reader:
        await asyncio.to_thread(reader.commit, offsets=[TopicPartition(topic, 1, offset)], asynchronous=False)


async def test_a_foreign_record_among_the_segments_stops_the_load(
    settings: Settings, producer: ConfirmingProducer
) -> None:
    foreign = Producer(client_config(settings))
    foreign.produce(settings.topic_prefix + topics.SAMPLE_STATE.name, key=b"x", value=b"hello", partition=0)
    assert foreign.flush(30.0) == 0
    with pytest.raises(StopWorker, match=r"sample-state\[0\]@0 is not a segment"):
        await owner(settings, producer).load()
