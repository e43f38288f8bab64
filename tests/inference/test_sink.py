"""In which order the records of an intent are sent."""

from __future__ import annotations

import asyncio
from typing import Any

from inference.judged import Judged
from inference.sink import IntentSink
from schemas.fixed_registry import FixedRegistry
from streams.kafka.producer import ConfirmingProducer
from tests.features.examples import co_buy, intent


class OrderNotingProducer(ConfirmingProducer):
    """Remembers the order of what was sent; confirms it at once."""

    def __init__(self) -> None:
        self.topics: list[str] = []

    async def enqueue(self, topic: str, value: bytes | None, **_: Any) -> asyncio.Future[None]:
        self.topics.append(topic)
        return asyncio.ensure_future(asyncio.sleep(0))


async def test_no_intent_is_sent_to_its_entities_before_it_is_sent_to_the_log() -> None:
    """A zombie whose record comes late into the log must come late among the entities' records too: there it is seen
    that the newer one must be written again."""
    producer = OrderNotingProducer()
    await (await IntentSink(producer, FixedRegistry()).write(Judged(accepted=(intent(), co_buy()), rejected=())))
    assert producer.topics == ["intents", "entity-intents", "entity-intents"] * 2
