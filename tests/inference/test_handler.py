"""One fetch of pairs: what becomes of good records, of bad ones, and when its promise is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from cosmo.runtime.deadline import Deadline
from cosmo.runtime.errors import StopWorker
from cosmo.runtime.settings import Settings
from inference import handler as module
from inference.asker import Asker, AskRule
from inference.errors import InferenceError, ModelFailed
from inference.gate import PROBE
from inference.handler import InferHandler
from inference.pairs import pair_of, prompts_of
from schemas.codec import Codec
from schemas.fixed_registry import FixedRegistry
from schemas.records import BehaviorPair, IntentRequest
from streams.fetch.handler import Fetch, RawRecord
from streams.kafka.dead_letters import DeadLetters
from streams.kafka.producer import ConfirmingProducer
from tests.inference.examples import NOW, co_buy, pair, request
from tests.inference.fake_models import EchoingModel

REGISTRY = FixedRegistry()
PAIRS = Codec("behavior-pairs", BehaviorPair, REGISTRY)
REQUESTS = Codec("intent-requests", IntentRequest, REGISTRY)
RULE = AskRule(batch_prompts=4, batch_wait_s=0.0, in_flight=2, timeout_s=5.0, room=8)
BOUND_S = 10.0


@dataclass
class NotingProducer(ConfirmingProducer):
    """Remembers what was sent; confirms it at once, or when ``confirm`` is set."""

    confirm: asyncio.Event = field(default_factory=asyncio.Event)
    sent: list[tuple[str, str]] = field(default_factory=list)

    async def enqueue(self, topic: str, value: bytes | None, **others: Any) -> asyncio.Future[None]:
        self.sent.append((topic, others["key"].decode()))
        return asyncio.ensure_future(self._confirmed())

    async def _confirmed(self) -> None:
        await self.confirm.wait()

    def judged(self) -> list[str]:
        """The pair of each candidate that was written, whatever was thought of it."""
        kept = [key.partition("/")[2] for topic, key in self.sent if topic == "intents"]
        return sorted(kept + [key for topic, key in self.sent if topic == "rejected-intents"])

    def dead(self) -> list[str]:
        """Keys of the dead letters."""
        return [key for topic, key in self.sent if topic.endswith(".dlq")]


@dataclass
class Ready:
    """A handler that owns partition 0 of both topics, and what it talks to."""

    handler: InferHandler
    producer: NotingProducer
    model: EchoingModel


@asynccontextmanager
async def ready(
    fails: Callable[[Sequence[str]], InferenceError | None] = lambda _: None,
    *,
    seconds: float = 0.0,
    confirming: bool = True,
    limit: float = 1.0,
) -> AsyncIterator[Ready]:
    model, producer = EchoingModel(seconds=seconds, fails=fails), NotingProducer()
    if confirming:
        producer.confirm.set()
    settings = Settings(infer_relations=2)
    built = module.build(settings, producer, DeadLetters(producer, limit=limit), REGISTRY)
    await built.asker.client.close()
    built.asker = Asker(model, module.sampling_params(settings), RULE, jitter=lambda: 0.0)
    built.now = lambda: NOW
    await built.start()
    for topic in built.routes:
        await built.assigned(topic, frozenset({0}))
    yield Ready(built, producer, model)
    await built.stop(Deadline.after(1.0))


def fetch(*records: BehaviorPair | bytes | None, topic: str = "behavior-pairs") -> Fetch:
    values = [PAIRS.encode(one) if isinstance(one, BehaviorPair) else one for one in records]
    return Fetch(topic, 0, [RawRecord(offset, 0, b"%d" % offset, value) for offset, value in enumerate(values)])


async def until(condition: Callable[[], bool]) -> None:
    """Let everything else run until something holds."""
    async with asyncio.timeout(BOUND_S):
        while not condition():  # noqa: ASYNC110 - what changes is a plain list of a fake
            await asyncio.sleep(0)


async def a_while() -> None:
    """Long enough for everything that is ready to run."""
    for _ in range(100):
        await asyncio.sleep(0)


async def done(ready: Ready, fetched: Fetch) -> None:
    async with asyncio.timeout(BOUND_S):
        await (await ready.handler.handle(fetched))


async def test_every_pair_ends_and_what_came_of_it_is_sent() -> None:
    async with ready() as it:
        await done(it, fetch(pair(), co_buy()))
        assert it.producer.judged() == ["pair-1", "pair-1", "pair-2", "pair-2"]
        assert it.model.prompts == 4


async def test_the_promise_is_kept_when_the_brokers_have_confirmed_and_not_before() -> None:
    async with ready(confirming=False) as it:
        promise = asyncio.ensure_future(await it.handler.handle(fetch(pair())))
        await until(lambda: bool(it.producer.sent))
        await a_while()
        assert not promise.done()
        it.producer.confirm.set()
        async with asyncio.timeout(BOUND_S):
            await promise


async def test_bad_records_go_to_the_dead_letters_and_their_neighbours_go_through() -> None:
    async with ready() as it:
        await done(it, fetch(b"junk", pair(), None, pair(pair_id="empty", query="")))
        assert it.producer.dead() == ["0", "2", "3"]
        assert it.producer.judged() == ["pair-1", "pair-1"]


async def test_a_readers_request_is_answered_too() -> None:
    async with ready() as it:
        record = RawRecord(0, 0, b"paper plates", REQUESTS.encode(request()))
        await done(it, Fetch("intent-requests", 0, [record]))
        assert it.producer.judged() == [pair_of(request()).pair_id] * 2


async def test_of_a_pair_with_one_bad_prompt_the_others_are_kept_and_the_record_is_dead_lettered_once() -> None:
    first = prompts_of(pair(), 2)[0].text
    async with ready(lambda texts: ModelFailed("breaks") if first in texts else None) as it:
        await done(it, fetch(pair(), co_buy()))
        assert it.producer.dead() == ["0"]
        assert it.producer.judged() == ["pair-1", "pair-2", "pair-2"]


async def test_a_model_that_breaks_at_every_prompt_stops_the_worker_instead_of_emptying_the_topic() -> None:
    def breaks(texts: Sequence[str]) -> InferenceError | None:
        return None if list(texts) == [PROBE] else ModelFailed("breaks")

    many = [pair(pair_id=f"p{number}") for number in range(300)]
    async with ready(breaks, limit=0.5) as it:
        with pytest.raises(StopWorker, match="cannot be used"):
            await done(it, fetch(*many))


async def test_a_fetch_waits_for_room_while_the_model_is_slow() -> None:
    async with ready(seconds=60.0) as it:
        taking_on = asyncio.ensure_future(it.handler.handle(fetch(*(pair(pair_id=f"p{n}") for n in range(100)))))
        await until(lambda: it.model.prompts == 8)
        await a_while()
        assert not taking_on.done()
        taking_on.cancel()


async def test_what_was_revoked_is_not_asked_and_its_promise_is_never_kept() -> None:
    async with ready(seconds=60.0) as it:
        promise = asyncio.ensure_future(await it.handler.handle(fetch(*(pair(pair_id=f"p{n}") for n in range(7)))))
        async with asyncio.timeout(BOUND_S):
            await until(lambda: it.model.prompts == 8)
            await it.handler.revoked("behavior-pairs", frozenset({0}))
            with pytest.raises(asyncio.CancelledError):
                await promise
        assert it.producer.sent == []
        await a_while()
        assert it.model.prompts == 8
        assert len(it.handler.asker._batcher) == 0


async def test_of_a_pair_that_was_released_twice_the_earlier_is_confirmed_before_the_later_is_asked() -> None:
    """Both at the model, the earlier could be answered last: its edition would be the newest, its support served."""
    async with ready(confirming=False) as it:
        handling = asyncio.create_task(it.handler.handle(fetch(pair(support=6), co_buy(), pair(support=8))))
        await until(lambda: len(it.producer.judged()) == 4)
        await a_while()
        assert it.producer.judged() == ["pair-1", "pair-1", "pair-2", "pair-2"]
        assert (it.model.prompts, handling.done()) == (4, False)
        it.producer.confirm.set()
        async with asyncio.timeout(BOUND_S):
            await (await handling)
        assert it.model.prompts == 6


async def test_a_pair_that_is_revoked_while_it_waits_for_its_earlier_release_is_not_asked() -> None:
    async with ready(confirming=False) as it:
        handling = asyncio.create_task(it.handler.handle(fetch(pair(support=6), pair(support=8))))
        await until(lambda: len(it.producer.judged()) == 2)
        await it.handler.revoked("behavior-pairs", frozenset({0}))
        async with asyncio.timeout(BOUND_S):
            promise = await handling
            with pytest.raises(asyncio.CancelledError):
                await promise
        assert it.model.prompts == 2
