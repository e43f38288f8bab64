"""An emptied Redis never passes for one that knows nothing: not for readers, not for the worker, whoever runs what."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from redis import Redis

from cosmo.runtime.settings import Settings
from cosmo.runtime.waiting import WAITING
from cosmo.stack.furnish import furnish
from features import project
from features.errors import EmptiedAgain, LogUnreadable, NotApplied
from features.lookup import reader
from features.lookup.answers import QueryIntents
from features.rebuild import Progress, rebuild
from features.store import apply
from features.whole import DEPENDENCY, marked
from schemas.framing import id_frame
from schemas.records import Intent
from schemas.registry import Registry
from streams import topics
from streams.kafka.clients import admin
from tests.features.examples import intent
from tests.features.memory_store import MemoryStore
from tests.integration.materialized import BOUND_S, Log, caught_up, materialize, prepare, working
from tests.integration.test_feature_commands import cosmo

pytestmark = pytest.mark.integration


@pytest.fixture
def ready(settings: Settings, tmp_path: Path) -> Settings:
    return prepare(settings).model_copy(update={"home": tmp_path})


def evidence(*numbers: int) -> list[Intent]:
    return [
        intent(intent_id=f"i-{n}", pair_id=f"p-{n}", tail=f"tail {n}", tail_key=f"tail {n}", head="tent", query="tent")
        for n in numbers
    ]


def empty(settings: Settings) -> None:
    """As FLUSHALL does it, for this test's project; other tests use the server too."""
    with closing(Redis.from_url(settings.redis_url.get_secret_value())) as redis:
        for key in redis.scan_iter(count=1000):
            if key.endswith(project.project_name(settings).encode()):
                redis.delete(key)


async def look_up(settings: Settings) -> QueryIntents:
    one = reader.build(settings)
    try:
        return await one.query("tent")
    finally:
        await one.close()


async def may_be_marked(settings: Settings) -> bool:
    """Of a store that was never applied; it is left so."""
    return await marked(MemoryStore(), settings)


async def tails(settings: Settings) -> set[str]:
    return {found.tail for found in (await look_up(settings)).intents}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(BOUND_S):
        while not condition():  # noqa: ASYNC110 - the worker tells nobody
            await asyncio.sleep(0.05)


async def rebuilt(settings: Settings, progress: Progress = lambda _passed, _total: None) -> None:
    with closing(Registry(settings)) as registry:
        await rebuild(settings, registry, progress)


async def test_neither_apply_nor_stack_up_lets_readers_in(ready: Settings, env: dict[str, str], tmp_path: Path) -> None:
    child_env = env | {"COSMO_HOME": str(tmp_path)}
    assert (await apply(ready)).whole
    Log(ready).write(evidence(1, 2))
    await materialize(ready)
    assert await tails(ready) == {"tail 1", "tail 2"}
    assert json.loads(cosmo(child_env, "features", "apply", "--json"))["whole"]
    empty(ready)
    said: list[str] = []

    def note(_part: object, _phase: object, detail: str = "") -> None:
        said.append(detail)

    await asyncio.to_thread(furnish, ready, progress=note)
    assert "cosmo features rebuild" in said[-1]
    assert not json.loads(cosmo(child_env, "features", "apply", "--json"))["whole"]
    with pytest.raises(NotApplied):
        await look_up(ready)
    await rebuilt(ready)
    assert await tails(ready) == {"tail 1", "tail 2"}


async def test_the_worker_merges_nothing_into_an_emptied_store_until_it_is_rebuilt(ready: Settings) -> None:
    log = Log(ready)
    log.write(evidence(1))
    await materialize(ready)
    empty(ready)
    log.write(evidence(2))
    async with working(ready):
        await until(lambda: any(wait.dependency == DEPENDENCY for wait in WAITING.now()))
        assert "cosmo features rebuild" in WAITING.now()[0].reason
        with pytest.raises(NotApplied):
            await look_up(ready)
        await rebuilt(ready)
        await caught_up(ready)
    assert await tails(ready) == {"tail 1", "tail 2"}
    assert WAITING.now() == []


async def test_a_store_that_is_emptied_while_it_is_rebuilt_stays_closed(ready: Settings) -> None:
    Log(ready).write(evidence(1))

    def emptied_near_the_end(passed: int, total: int) -> None:
        if passed == total:
            empty(ready)

    with pytest.raises(EmptiedAgain):
        await rebuilt(ready, emptied_near_the_end)
    with pytest.raises(NotApplied):
        await look_up(ready)


async def test_a_rebuild_that_can_read_next_to_nothing_lets_nobody_in(ready: Settings) -> None:
    """The registry was made anew, or is another one: its ids are not those of the log."""
    log = Log(ready)
    log.write(evidence(1))
    for number in range(3):
        log.raw(topics.INTENTS, f"i{number}/p{number}", id_frame(7_000_000) + b"body")
    log.flush()
    with pytest.raises(LogUnreadable, match="3 of 4 records"):
        await rebuilt(ready)
    with pytest.raises(NotApplied):
        await look_up(ready)


@pytest.mark.parametrize("known", [False, True], ids=["no schema has the id", "another schema has it"])
async def test_what_another_registry_could_read_keeps_readers_out_until_somebody_does_without_it(
    ready: Settings, known: bool
) -> None:
    log = Log(ready)
    log.write(evidence(1, 2, 3))
    log.write(evidence(3), entities=False)  # the same key again, which is no fourth intent
    with closing(Registry(ready)) as registry:
        schema_id = registry.schema_id(topics.ENTITY_INTENTS.name) if known else 7_000_000
    log.raw(topics.INTENTS, "i/p", id_frame(schema_id) + b"body")
    log.raw(topics.INTENTS, "junk", b"junk")
    log.flush()
    with pytest.raises(LogUnreadable, match="1 of them with the schema"):
        await rebuilt(ready)
    with pytest.raises(NotApplied):
        await look_up(ready)
    with closing(Registry(ready)) as registry:
        done = await rebuild(ready, registry, lambda *_: None, leave_out_unreadable=True)
    assert (done.intents, done.unusable, done.undecodable) == (3, 2, 1)
    await look_up(ready)


async def test_an_empty_store_lacks_nothing_while_the_stream_still_brings_everything(ready: Settings) -> None:
    assert await may_be_marked(ready.model_copy(update={"topic_prefix": "topics.that.were.never.made."}))
    assert await may_be_marked(ready)
    Log(ready).write(evidence(1, 2))
    assert await may_be_marked(ready)
    await materialize(ready)
    assert not await may_be_marked(ready)


async def test_an_empty_store_lacks_what_retention_has_taken_from_the_stream(ready: Settings) -> None:
    Log(ready).write(evidence(1, 2))
    topic = ready.topic_prefix + topics.ENTITY_INTENTS.name
    client = admin(ready)  # held: its futures fail when it is collected
    whole = [TopicPartition(topic, number, -1) for number in range(ready.topic_partitions)]
    for done in client.delete_records(whole).values():
        await asyncio.to_thread(done.result, BOUND_S)
    assert not (await apply(ready)).whole
