"""The materialize worker as a process, on a real broker and a real Redis: nothing lost, whatever is taken from it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from confluent_kafka import Message, TopicPartition

from cosmo.runtime.settings import Settings
from cosmo.stack.ports import Ports
from features.entities import view_of
from features.materialize.handler import merge_rule
from features.merge import Change
from features.online.redis_store import connect
from features.online.store import Ref, Stored
from features.online.writer import Writer
from inference.entities import entities_of
from schemas.records import Intent, Product
from streams import topics
from streams.kafka.clients import group_reader, log_reader
from streams.kafka.lag import total_lag
from tests.features.examples import NOW, co_buy, intent
from tests.features.memory_store import MemoryStore
from tests.integration.materialized import Log, caught_up, prepare
from tests.integration.proxy import proxied

pytestmark = pytest.mark.integration

BOUND_S = 60.0
MEGABYTE = 1024 * 1024


@pytest.fixture
def ready(settings: Settings, tmp_path: Path) -> Settings:
    return prepare(settings.model_copy(update={"home": tmp_path}))


@pytest.fixture
def child_env(env: dict[str, str], ready: Settings) -> dict[str, str]:
    return env | {
        "COSMO_HOME": str(ready.home),
        "COSMO_WORKER_PORT": str(Ports.free(brokers=1).lm),
        "COSMO_COMMIT_INTERVAL_S": "0.2",
        "COSMO_SESSION_TIMEOUT_S": "6",
        "COSMO_GROUP_INSTANCE_ID": "materialize-0",  # a killed worker's partitions are its own again at once
        "COSMO_FEATURES_OFFLINE_FLUSH_S": "0.2",
    }


def evidence(count: int, *, first: int = 0) -> list[Intent]:
    """Pairs of sixty queries and thirty products, some of them bought together."""
    found = [
        intent(
            intent_id=f"i-{number}",
            pair_id=f"p-{number}",
            head=f"query {number % 60}",
            query=f"query {number % 60}",
            products=(Product(product_id=f"B{number % 30}", title=f"Product {number % 30}"),),
            tail=f"tail {number}",
            tail_key=f"tail {number}",
            support=1 + number % 41,
            generated_time=NOW + timedelta(seconds=number),
        )
        for number in range(first, first + count)
    ]
    others = [Product(product_id=f"C{number}", title="Other") for number in range(first, first + count // 10)]
    return [*found, *(co_buy(other, support=1 + number) for number, other in enumerate(others))]


async def undisturbed(settings: Settings, intents: Sequence[Intent]) -> dict[Ref, Mapping[bytes, bytes]]:
    """What one writer that is never disturbed makes of them, in one go."""
    store = MemoryStore()
    changes: dict[Ref, list[Change]] = {}
    for one in intents:
        for kind, key in entities_of(one):
            changes.setdefault(Ref(view_of(kind, one), key), []).append(Change(intent=one))
    await Writer(store, merge_rule(settings)).apply(changes)
    return {ref: stored.fields for ref, stored in store.rows.items()}


async def stored(settings: Settings, refs: Sequence[Ref]) -> dict[Ref, Stored]:
    store = connect(settings)
    try:
        return dict(zip(refs, await store.read(refs), strict=True))
    finally:
        await store.close()


async def assert_undisturbed(settings: Settings, intents: Sequence[Intent]) -> None:
    expected = await undisturbed(settings, intents)
    found = await stored(settings, list(expected))
    assert {ref: row.fields for ref, row in found.items()} == expected


@contextmanager
def worker(env: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen(
        [sys.executable, "-m", "cosmo", "worker", "materialize"], env=dict(env), stderr=subprocess.DEVNULL
    )
    try:
        yield child
    finally:
        child.kill()
        child.wait()


@asynccontextmanager
async def ending_well(child: subprocess.Popen[bytes]) -> AsyncIterator[None]:
    """After the block the worker must end by SIGTERM, with 0."""
    yield
    child.terminate()
    assert await asyncio.to_thread(child.wait, 30.0) == 0


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(BOUND_S):
        while not condition():  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(0.05)


async def lag(settings: Settings) -> int | None:
    reader = group_reader(settings, topics.group("materialize", settings.topic_prefix))
    try:
        return await total_lag(reader, settings.topic_prefix + "entity-intents", settings.topic_partitions)
    finally:
        reader.close()


def dead_letters(settings: Settings) -> list[Message]:
    reader = log_reader(settings)
    topic = settings.topic_prefix + topics.ENTITY_INTENTS.dlq
    found = []
    for number in range(settings.topic_partitions):
        reader.assign([TopicPartition(topic, number, 0)])
        while (message := reader.poll(BOUND_S)) is not None and message.error() is None:
            found.append(message)
    reader.close()
    return found


async def test_good_records_become_features_and_bad_ones_dead_letters(
    ready: Settings, child_env: dict[str, str]
) -> None:
    log, good = Log(ready), evidence(100)
    log.write(good[:50], log=False)
    for value in (b"junk", None, b""):
        log.raw(topics.ENTITY_INTENTS, "QUERY:bad", value)
    log.write(good[50:], log=False)
    with worker(child_env) as child:
        async with ending_well(child):
            await caught_up(ready)
    await assert_undisturbed(ready, good)
    assert sorted(message.value() or b"null" for message in dead_letters(ready)) == [b"junk", b"null", b"null"]


async def test_kill_minus_nine_at_any_moment_leaves_the_values_of_an_undisturbed_run(
    ready: Settings, child_env: dict[str, str]
) -> None:
    """Each of three workers is killed when it has begun to commit what was written for it, and the fourth may end."""
    log, given = Log(ready), evidence(4_000)
    child_env |= {"COSMO_FETCH_RECORDS": "50", "COSMO_COMMIT_INTERVAL_S": "0.05"}
    for part in range(3):
        await asyncio.to_thread(log.write, given[part::3], log=False)
        waiting = await lag(ready) or 0
        with worker(child_env) as child:
            async with asyncio.timeout(BOUND_S):
                while await lag(ready) in {waiting, None}:
                    assert child.poll() is None
            os.kill(child.pid, signal.SIGKILL)
        assert (await lag(ready) or 0) > 0  # it was in the middle
    with worker(child_env) as child:
        async with ending_well(child):
            await caught_up(ready)
    await assert_undisturbed(ready, given)


async def test_while_redis_is_away_lag_grows_memory_does_not_and_nothing_is_lost(
    ready: Settings, child_env: dict[str, str]
) -> None:
    url = urlsplit(ready.redis_url.get_secret_value())
    port = Ports.free(brokers=1).redis
    log, given = Log(ready), evidence(6_000)
    async with proxied(url.hostname or "", url.port or 0, listens_on=port) as redis:
        with worker(child_env | {"REDIS_URL": f"redis://127.0.0.1:{port}/0"}) as child:
            async with ending_well(child):
                await asyncio.to_thread(log.write, given[:1000], log=False)
                await caught_up(ready)
                await redis.down()
                await asyncio.to_thread(log.write, given[1000:3000], log=False)
                rss_bytes = psutil.Process(child.pid).memory_info().rss
                await asyncio.to_thread(log.write, given[3000:], log=False)
                assert (await lag(ready) or 0) > 5_000
                grown_bytes = psutil.Process(child.pid).memory_info().rss - rss_bytes
                await redis.up()
                await caught_up(ready)
    await assert_undisturbed(ready, given)
    assert grown_bytes < 64 * MEGABYTE
