"""The sample worker on a real broker: events in, pairs out, killed in the middle and moved between owners."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from polars.testing import assert_frame_equal

from cosmo.runtime.health import Progress
from cosmo.runtime.settings import Settings
from schemas.codec import Codec
from schemas.records import Action, BehaviorPair, CoPurchase, PairCounts, PairKind, Product, QueryPurchase
from schemas.registry import Registry
from streams import topics
from streams.blocks import TOTALS_HEAD, FactAction, to_ipc
from streams.fetch.handler import RawRecord
from streams.fetch.watch import Watch
from streams.ingest import handler as ingest
from streams.ingest.facts import Tables
from streams.kafka.admin import add_partitions, create_topics
from streams.kafka.clients import client_config, group_reader, log_reader
from streams.kafka.dead_letters import DeadLetters
from streams.kafka.lag import total_lag
from streams.kafka.producer import ConfirmingProducer
from streams.sampling.blocks_in import decode
from streams.sampling.repartition import repartition
from streams.state.partition import PartitionState
from streams.state.replay import Replay
from streams.worker import Worker
from tests.integration.test_bad_records import read_all
from tests.sampling.cluster import NOW, Cluster
from tests.sampling.examples import bought, searches

pytestmark = pytest.mark.integration

PATIENCE_S = 60.0
KINDS = [("tent", "peg"), ("coat", "scarf"), ("lamp", "oil"), ("mug", "tea"), ("skate", "helmet"), ("pen", "ink")]
BEGIN = datetime(2024, 10, 1, tzinfo=UTC)


@pytest.fixture
def registry(settings: Settings) -> Registry:
    create_topics(settings)
    registry = Registry(settings)
    for topic in topics.ALL:
        registry.register(topic.name)
    return registry


def product(name: str, number: int) -> Product:
    return Product(product_id=f"{name}-{number}", title=f"{name} no. {number}", product_type=name, category="things")


def order(number: int, names: tuple[str, ...]) -> CoPurchase:
    return CoPurchase(
        event_id=f"o{number}",
        event_time=BEGIN + timedelta(minutes=number),
        session_id=f"order {number}",
        order_id=f"{number}",
        items=tuple(product(name, number % 2) for name in names),
    )


def search(number: int, session: str, query: str, name: str, action: Action) -> QueryPurchase:
    return QueryPurchase(
        event_id=f"s{number} {session} {action}",
        event_time=BEGIN + timedelta(minutes=number),
        session_id=session,
        query=query,
        action=action,
        product=product(name, 0),
    )


def events(first: int, last: int) -> Iterator[CoPurchase | QueryPurchase]:
    """A shop in which some things are bought together and some after a search; each number is a minute."""
    for number in range(first, last):
        pair, other = KINDS[number % len(KINDS)], KINDS[number * 7 // 3 % len(KINDS)]
        yield order(number, pair if number % 5 else (*pair, *(name for name in other if name not in pair)))
        if number % 4 == 0:
            query, name = f"{pair[number % 2]} for {number % 6}", pair[0]
            for action in (Action.IMPRESSION, Action.CLICK, Action.PURCHASE):
                yield search(number, f"shopper {number}", query, name, action)


def produce(settings: Settings, registry: Registry, some: Iterator[CoPurchase | QueryPurchase]) -> None:
    orders = Codec("co-purchase", CoPurchase, registry)
    searches = Codec("query-purchase", QueryPurchase, registry)
    producer = Producer(client_config(settings))
    for event in some:
        if isinstance(event, CoPurchase):
            producer.produce(settings.topic_prefix + "co-purchase", value=orders.encode(event))
        else:
            producer.produce(settings.topic_prefix + "query-purchase", value=searches.encode(event))
    assert producer.flush(60.0) == 0


async def ingest_all(settings: Settings, registry: Registry) -> None:
    async with ConfirmingProducer(settings) as producer:
        logic = ingest.build(settings, producer, DeadLetters(producer), registry)
        worker = Worker("ingest", settings, logic, Watch("ingest", Progress(), log_reader(settings)))
        running = asyncio.create_task(worker.run())
        commits = group_reader(settings, topics.group("ingest", settings.topic_prefix))
        while await lag_of(commits, settings, "ingest") != 0 and not running.done():
            await asyncio.wait({running}, timeout=0.2)
        worker.request_stop()
        await running


async def lag_of(commits: Consumer, settings: Settings, process: str) -> int | None:
    names = [settings.topic_prefix + topic.name for topic in topics.CONSUMED[process]]
    lags = [await total_lag(commits, name, settings.topic_partitions) for name in names]
    return None if None in lags else sum(lag or 0 for lag in lags)


async def until(condition: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    """Look at the broker, which tells nobody by itself, until the condition holds."""
    async with asyncio.timeout(patience_s):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Samplers:
    """`cosmo worker sample` as processes of their own, to be killed."""

    def __init__(self, env: dict[str, str], logs: Path) -> None:
        window = {"COSMO_SAMPLE_WINDOW_LEAST": "100000", "COSMO_SAMPLE_WINDOW_MOST": "100000"}  # nobody infers here
        self.env = env | window | {"COSMO_SESSION_TIMEOUT_S": "6"}
        self.logs = logs
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        with (self.logs / f"{len(self.running)}.log").open("wb") as log:
            started = subprocess.Popen(
                [sys.executable, "-m", "cosmo", "worker", "sample"],
                env=self.env | {"COSMO_WORKER_PORT": str(free_port())},
                stdout=log,
                stderr=log,
            )
        self.running.append(started)
        return started

    def said(self, words: str, *, by: subprocess.Popen[bytes]) -> bool:
        assert by.poll() is None
        return words in (self.logs / f"{self.running.index(by)}.log").read_text()

    def stop(self, process: subprocess.Popen[bytes], number: signal.Signals) -> None:
        process.send_signal(number)
        process.wait(30.0)


@pytest.fixture
def samplers(env: dict[str, str], tmp_path: Path) -> Iterator[Samplers]:
    samplers = Samplers(env, tmp_path)
    yield samplers
    for process in samplers.running:
        if process.poll() is None:
            process.kill()
            process.wait(10.0)
    for log in sorted(tmp_path.glob("*.log")):
        print(log.name, log.read_text()[-3000:], file=sys.stderr)


class Released:
    """What has come to behavior-pairs so far, read by one consumer that goes on where it was."""

    def __init__(self, settings: Settings, registry: Registry) -> None:
        self.codec = Codec("behavior-pairs", BehaviorPair, registry)
        self.reader = log_reader(settings)
        topic = settings.topic_prefix + "behavior-pairs"
        self.reader.assign([TopicPartition(topic, number, 0) for number in range(settings.topic_partitions)])
        self.pairs: list[BehaviorPair] = []

    def more(self) -> list[BehaviorPair]:
        """Until nothing comes for a while."""
        while self._read(0.2):
            pass
        return self.pairs

    def some(self) -> list[BehaviorPair]:
        """With the next that comes."""
        self._read(0.2)
        return self.pairs

    def _read(self, timeout_s: float) -> bool:
        message = self.reader.poll(timeout_s)
        if message is not None and message.error() is None:
            self.pairs.append(self.codec.decode(message.value()))
        return message is not None

    def levels(self) -> dict[str, int]:
        """pair_id → greatest level of support at which it was released."""
        found: dict[str, int] = {}
        for pair in self.more():
            found[pair.pair_id] = max(found.get(pair.pair_id, 0), pair.support.bit_length())
        return found


@pytest.fixture
def released(settings: Settings, registry: Registry) -> Iterator[Released]:
    released = Released(settings, registry)
    yield released
    released.reader.close()


def should_be(settings: Settings, registry: Registry) -> dict[str, tuple[PairKind, int]]:
    """pair_id → kind and support of all that qualify by the log of pair-counts: an undisturbed run without a broker."""
    codec, cluster = Codec("pair-counts", PairCounts, registry), Cluster(settings.topic_partitions)
    blocks: dict[int, list[RawRecord]] = {}
    for message in read_all(settings, "pair-counts"):
        blocks.setdefault(message.partition() or 0, []).append(RawRecord(0, 0, None, message.value()))
    for partition, records in blocks.items():
        tables = decode(codec, records, datetime.now(UTC)).tables
        shoppers = tables.facts.filter(pl.col("action") != FactAction.VOUCHER)
        cluster.add_to(partition, Tables(facts=shoppers, heads=tables.heads, products=tables.products))
    cluster.settle()
    return {pair.pair_id: (pair.kind, pair.support) for pair in cluster.due(NOW)}


async def test_every_pair_is_released_however_its_samplers_die(
    settings: Settings, registry: Registry, samplers: Samplers, released: Released
) -> None:
    first = samplers.start()
    produce(settings, registry, events(0, 300))
    await ingest_all(settings, registry)
    await until(lambda: len(released.more()) > 3)
    samplers.stop(first, signal.SIGKILL)

    second, third = samplers.start(), samplers.start()
    await until(lambda: samplers.said("state loaded", by=second) and samplers.said("state loaded", by=third))
    produce(settings, registry, events(300, 600))
    await ingest_all(settings, registry)
    samplers.stop(second, signal.SIGTERM)
    assert second.returncode == 0
    produce(settings, registry, events(600, 700))
    await ingest_all(settings, registry)

    wanted = await asyncio.to_thread(should_be, settings, registry)
    assert {kind for kind, _ in wanted.values()} == {PairKind.SEARCH_BUY, PairKind.CO_BUY}
    await until(lambda: not missing(wanted, released.levels()))
    commits = group_reader(settings, topics.group("sample", settings.topic_prefix))
    while await lag_of(commits, settings, "sample") != 0:
        assert third.poll() is None
    samplers.stop(third, signal.SIGTERM)
    assert third.returncode == 0


async def test_a_block_that_is_none_goes_to_the_dead_letters_and_its_neighbours_go_through(
    settings: Settings, registry: Registry, samplers: Samplers, released: Released
) -> None:
    codec, topic = Codec("pair-counts", PairCounts, registry), settings.topic_prefix + "pair-counts"
    empty = PairCounts(
        source_topic="x",
        source_partition=0,
        first_offset=0,
        last_offset=0,
        layout=1,
        facts=b"1",
        heads=b"2",
        products=b"",
    )
    producer = Producer(client_config(settings))
    for value in (b"junk", codec.encode(empty)):
        producer.produce(topic, value=value, partition=0)
    assert producer.flush(30.0) == 0
    produce(settings, registry, events(0, 120))
    await ingest_all(settings, registry)
    samplers.start()
    await until(lambda: len(released.more()) > 3)
    await until(lambda: len(read_all(settings, "pair-counts.dlq")) == 2)


def missing(wanted: dict[str, tuple[PairKind, int]], found: dict[str, int]) -> list[str]:
    return [pair for pair, (_, support) in wanted.items() if found.get(pair, 0) < support.bit_length()]


async def test_an_event_that_makes_a_pair_qualify_is_felt_within_a_second(
    settings: Settings, registry: Registry, samplers: Samplers, released: Released
) -> None:
    """From the block in pair-counts to the pair in behavior-pairs, in a sampler that has other things to hold."""
    running = samplers.start()
    produce(settings, registry, events(0, 200))
    await ingest_all(settings, registry)
    wanted = await asyncio.to_thread(should_be, settings, registry)
    await until(lambda: not missing(wanted, released.levels()))
    took_s = []
    codec = Codec("pair-counts", PairCounts, registry)
    producer = Producer(client_config(settings) | {"linger.ms": 0})
    for number in range(5):
        tables = searches(bought(f"something new {number}", "tent-1", 4, tag=f"{number}")).tables
        blocks = [(n, tables(n, settings.topic_partitions)) for n in range(settings.topic_partitions)]
        before = len(released.more())
        began_s = time.monotonic()
        for partition, block in ((n, block) for n, block in blocks if block.facts.height):
            producer.produce(
                settings.topic_prefix + "pair-counts", value=codec.encode(as_record(block)), partition=partition
            )
        assert producer.flush(10.0) == 0
        await until(lambda: len(released.some()) > before)  # noqa: B023 - awaited within the turn
        took_s.append(time.monotonic() - began_s)
    samplers.stop(running, signal.SIGTERM)
    print("seconds to behavior-pairs:", [round(each, 3) for each in sorted(took_s)], file=sys.stderr)
    assert sorted(took_s)[len(took_s) // 2] < 1.0


def as_record(tables: Tables) -> PairCounts:
    return PairCounts(
        source_topic="query-purchase",
        source_partition=0,
        first_offset=0,
        last_offset=0,
        layout=1,
        facts=to_ipc(tables.facts),
        heads=to_ipc(tables.heads),
        products=to_ipc(tables.products),
    )


async def settled(settings: Settings, samplers: Samplers, running: subprocess.Popen[bytes]) -> None:
    """Wait until it has read everything, and let it go."""
    commits = group_reader(settings, topics.group("sample", settings.topic_prefix))
    while await lag_of(commits, settings, "sample") != 0:
        assert running.poll() is None
    commits.close()
    samplers.stop(running, signal.SIGTERM)
    assert running.returncode == 0


def all_facts(settings: Settings, registry: Registry) -> pl.DataFrame:
    """All that lies in pair-counts, in whatever partition; read once, for whoever asks by heads."""
    codec = Codec("pair-counts", PairCounts, registry)
    records = [RawRecord(0, 0, None, message.value()) for message in read_all(settings, "pair-counts")]
    return decode(codec, records, datetime.now(UTC)).tables.facts


def facts_of(facts: pl.DataFrame, partition: int, partitions: int) -> PartitionState:
    """The facts of the heads of a partition."""
    state = PartitionState()
    state.merge_table("facts", facts.filter(pl.col("head") % partitions == partition))
    return state


def shoppers(state: PartitionState) -> pl.DataFrame:
    counted = (pl.col("action") != FactAction.VOUCHER) & (pl.col("head") != TOTALS_HEAD)
    return state.snapshot("facts").filter(counted).sort(pl.all())


async def test_added_partitions_stop_the_sampler_and_moving_its_state_loses_nothing(
    settings: Settings, registry: Registry, samplers: Samplers
) -> None:
    """Blocks that nobody has read yet lie where their heads were, and ingest goes by the new number already."""
    more = 2 * settings.topic_partitions
    produce(settings, registry, events(0, 200))
    await ingest_all(settings, registry)
    await settled(settings, samplers, samplers.start())
    produce(settings, registry, events(200, 300))
    await ingest_all(settings, registry)
    for name in ("pair-counts", "sample-state"):
        add_partitions(settings, settings.topic_prefix + name, more)
    refused = samplers.start()
    await until(lambda: refused.poll() is not None)
    assert refused.returncode == 3
    assert "cosmo topics repartition" in (samplers.logs / "1.log").read_text()

    moved = await repartition(settings)
    assert moved.partitions == more
    assert moved.blocks > 0
    assert not (await repartition(settings)).heads
    grown = settings.model_copy(update={"topic_partitions": more})
    produce(settings, registry, events(300, 400))
    await ingest_all(settings, registry)
    await settled(grown, samplers, samplers.start())
    replay, facts = Replay(grown, registry), await asyncio.to_thread(all_facts, grown, registry)
    for number in range(more):
        found, expected = replay.durable(number), facts_of(facts, number, more)
        assert_frame_equal(shoppers(found), shoppers(expected))
        assert set(found.snapshot("heads")["head"] % more) <= {number}
    assert sum(replay.durable(number).snapshot("asked").height for number in range(more)) > 0


async def test_a_repartition_killed_in_the_middle_is_finished_by_the_next(
    settings: Settings, registry: Registry, samplers: Samplers, env: dict[str, str]
) -> None:
    """It adds the partitions itself. Every step is killed in tests/sampling/test_repartition.py; here a real one is, as
    soon as anything has come to a new partition."""
    more = 2 * settings.topic_partitions
    produce(settings, registry, events(0, 100))
    await ingest_all(settings, registry)
    await settled(settings, samplers, samplers.start())
    command = [sys.executable, "-m", "cosmo", "topics", "repartition", "--partitions", str(more)]
    killed = await asyncio.create_subprocess_exec(*command, env=env)
    await until(lambda: has_come(settings, range(settings.topic_partitions, more)) or killed.returncode is not None)
    killed.kill()
    assert await killed.wait() == -signal.SIGKILL
    assert await (await asyncio.create_subprocess_exec(*command, env=env)).wait() == 0
    assert not (await repartition(settings)).heads
    grown = settings.model_copy(update={"topic_partitions": more})
    replay, facts = Replay(grown, registry), await asyncio.to_thread(all_facts, grown, registry)
    for number in range(more):
        found, expected = replay.durable(number), facts_of(facts, number, more)
        assert_frame_equal(shoppers(found), shoppers(expected))


def has_come(settings: Settings, numbers: range) -> bool:
    """Whether anything of the sampler's state has come to one of these partitions, which may not be there yet."""
    topic = settings.topic_prefix + "sample-state"
    with closing(log_reader(settings)) as reader, contextlib.suppress(KafkaException):
        return any(reader.get_watermark_offsets(TopicPartition(topic, number), timeout=10.0)[1] for number in numbers)
    return False
