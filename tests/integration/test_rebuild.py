"""An emptied Redis is rebuilt from the log of intents to the same bytes, while the stream goes on."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from redis.asyncio import Redis

from cosmo.runtime.settings import Settings
from features import project
from features.knowledge.current import current_intents
from features.knowledge.log import IntentLog, intents_codec
from features.lookup import reader
from features.lookup.answers import QueryIntents
from features.merge import evidence_key
from features.online import format as feast_format
from features.rebuild import rebuild
from features.views import QUERY_INTENTS
from schemas.records import Intent, Product
from schemas.registry import Registry
from streams import topics
from streams.kafka.clients import group_reader
from tests.features.examples import NOW, UMBRELLA, co_buy, intent
from tests.integration.materialized import Log, caught_up, materialize, prepare, working

pytestmark = pytest.mark.integration

Rows = dict[bytes, dict[bytes, bytes]]


@pytest.fixture
def ready(settings: Settings) -> Settings:
    return prepare(settings)


@pytest.fixture
async def redis(ready: Settings) -> AsyncIterator[Redis]:
    client = Redis.from_url(ready.redis_url.get_secret_value())
    yield client
    await client.aclose()


def story() -> Iterator[list[Intent]]:
    """Two hundred pairs of forty queries and twenty products, each answered up to three times, better or worse."""
    for answer in range(3):
        yield [
            intent(
                intent_id=f"i-{number % 40}-{number % 7}",
                pair_id=f"p-{number}",
                head=f"query {number % 40}",
                query=f"query {number % 40}",
                products=(Product(product_id=f"B{number % 20}", title=f"Product {number % 20}"),),
                tail=f"tail {number % 7}",
                tail_key=f"tail {number % 7}",
                support=1 + (number * 7 + answer * 3) % 50,
                typicality=((number + answer) % 10) / 10,
                generated_time=NOW + timedelta(minutes=answer),
            )
            for number in range(200)
            if number % 3 >= answer
        ]


def answered_once(answers: list[Intent]) -> list[Intent]:
    """Of the first answers; a retraction names the newest answer, so that is the one that the log forgets."""
    return [one for number, one in enumerate(answers) if number % 3 == 0]


def pairs() -> list[Intent]:
    others = [Product(product_id=f"C{number}", title=f"Other {number}") for number in range(20)]
    return [co_buy(other, support=number + 1) for number, other in enumerate(others)]


async def dump(redis: Redis, settings: Settings) -> Rows:
    """Every hash of the project, but for when its rows became visible and for what is remembered of retractions."""
    suffix = project.project_name(settings).encode()
    rows: Rows = {}
    async for key in redis.scan_iter(count=1000):
        if key.endswith(suffix) and await redis.type(key) == b"hash":
            fields: Any = await redis.hgetall(key)  # type: ignore[misc]  # typed for both kinds of client
            rows[key] = {
                name: value for name, value in fields.items() if not name.startswith((b"_ts:", b"_retracted:"))
            }
    return rows


async def empty(redis: Redis, settings: Settings) -> None:
    """As FLUSHALL does it, for this test's project; other tests use the server too."""
    suffix = project.project_name(settings).encode()
    async for key in redis.scan_iter(count=1000):
        if key.endswith(suffix):
            await redis.delete(key)


async def rebuilt(settings: Settings) -> Any:
    with closing(Registry(settings)) as registry:
        return await rebuild(settings, registry, lambda _passed, _total: None)


async def test_an_emptied_store_is_rebuilt_to_the_same_bytes(ready: Settings, redis: Redis) -> None:
    log = Log(ready)
    for answers in story():
        log.write(answers)
    log.write(pairs())
    log.retract(answered_once(next(story()))[::3])
    await materialize(ready)
    undisturbed = await dump(redis, ready)
    assert len(undisturbed) == 40 + 20 + 21
    await empty(redis, ready)
    done = await rebuilt(ready)
    assert await dump(redis, ready) == undisturbed
    assert (done.retracted > 0, done.unusable) == (True, 0)
    again = await rebuilt(ready)
    assert (await dump(redis, ready), again.rows) == (undisturbed, done.rows)


async def test_a_rebuild_beside_the_worker_ends_in_the_same_bytes(ready: Settings, redis: Redis) -> None:
    """The store is emptied in mid-stream; evidence comes and goes while it is rebuilt."""
    log, (first, second, third) = Log(ready), story()
    async with working(ready):
        log.write([*first, *pairs()])
        await caught_up(ready)
        await empty(redis, ready)
        log.write(second[:50])
        rebuilding = asyncio.create_task(rebuilt(ready))
        for number in range(0, len(second), 10):
            await asyncio.to_thread(log.write, second[number : number + 10])
            await asyncio.to_thread(log.retract, answered_once(first)[number // 10 :: 20])
        await asyncio.to_thread(log.write, third)
        await rebuilding
        await caught_up(ready)
    disturbed = await dump(redis, ready)
    await empty(redis, ready)
    await materialize_anew(ready)
    assert await dump(redis, ready) == disturbed


async def materialize_anew(settings: Settings) -> None:
    """What a store that was never disturbed holds: the whole of entity-intents, read by a group of its own."""
    group = topics.group("materialize", settings.topic_prefix)
    topic = settings.topic_prefix + topics.ENTITY_INTENTS.name
    rewinding = group_reader(settings, group)
    rewinding.commit(
        offsets=[TopicPartition(topic, number, 0) for number in range(settings.topic_partitions)], asynchronous=False
    )
    rewinding.close()
    await materialize(settings)


async def test_damaged_rows_are_mended_to_the_same_bytes_and_the_worker_goes_on_meanwhile(
    ready: Settings, redis: Redis
) -> None:
    """One value is cut off, and one key is somebody else's; then news comes for these and for all others."""
    log, (first, second, _) = Log(ready), story()
    name = project.project_name(ready)
    hash_of = {number: feast_format.entity_key(name, QUERY_INTENTS, f"query {number}") for number in (0, 1)}
    tails = feast_format.field(QUERY_INTENTS, "tails")
    async with working(ready):
        log.write(first)
        await caught_up(ready)
        await redis.execute_command("HSET", hash_of[0], tails, b"\xff\xff")  # type: ignore[no-untyped-call]  # its own commands take text
        await redis.delete(hash_of[1])
        await redis.set(hash_of[1], b"somebody else's")
        log.write(second)
        await caught_up(ready)
        damaged = await batch(ready, ["query 0", "query 1", "query 2"])
        assert [one.status for one in damaged] == ["damaged", "damaged", "stale"]
        done = await rebuilt(ready)
        assert {ref.key for ref in done.damaged} == {"query 0", "query 1"}
        assert "damaged" not in [one.status for one in await batch(ready, ["query 0", "query 1", "query 2"])]
    mended = await dump(redis, ready)
    await empty(redis, ready)
    await materialize_anew(ready)
    assert await dump(redis, ready) == mended


async def batch(settings: Settings, queries: list[str]) -> Sequence[QueryIntents]:
    readers = reader.build(settings)
    await readers.store.mark_applied(project.fingerprint())
    try:
        return (await readers.batch(queries, [], [])).queries
    finally:
        await readers.close()


async def test_a_zombies_late_record_lowers_neither_what_is_served_nor_what_compaction_leaves(
    ready: Settings, redis: Redis
) -> None:
    """A worker is stopped with older evidence in hand, which it writes when the newer is there."""
    log, zombies = Log(ready), intent(support=4, generated_time=NOW + timedelta(minutes=1))
    grown = intent(support=8, event_time=NOW, generated_time=NOW)
    async with working(ready):
        log.write([grown])
        await caught_up(ready)
        served = await dump(redis, ready)
        log.write([zombies])
        await caught_up(ready)
    assert await dump(redis, ready) == served
    assert await asyncio.to_thread(left_by_compaction, ready) == [grown]


def left_by_compaction(settings: Settings) -> list[Intent]:
    """Of each key the last record."""
    with closing(Registry(settings)) as registry, IntentLog(settings) as log:
        batches = current_intents(log, intents_codec(registry), lambda _passed, _total: None, lambda _: None)
        return [one for batch in batches for one in batch]


async def test_readers_wait_for_the_end_of_a_rebuild_and_the_command_reports(
    ready: Settings, env: dict[str, str]
) -> None:
    log = Log(ready)
    log.write([intent(), intent(intent_id="i-2", tail_key="hiking", plausibility=0.5)], entities=False)
    log.raw(topics.INTENTS, "junk", b"junk")
    log.raw(topics.INTENTS, evidence_key(intent(intent_id="i-2")), None)
    log.flush()
    command = [sys.executable, "-m", "cosmo", "features", "rebuild", "--json"]
    done = await asyncio.to_thread(
        subprocess.run, command, env=env, capture_output=True, text=True, timeout=120.0, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "records": 4,
        "intents": 1,
        "retracted": 1,
        "unusable": 1,
        "undecodable": 0,
        "rows": 2,
        "damaged": 0,
    }
    assert f"{ready.topic_prefix}intents[" in done.stderr
    readers = reader.build(ready)
    assert [one.tail for one in (await readers.product(UMBRELLA.product_id)).intents] == ["walking the dog"]
    await readers.close()
