"""Where the outcome of a pair goes: the log of intents, the rejected ones, and each entity's features."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from inference.entities import entities_of
from inference.judged import Judged
from schemas.codec import Codec
from schemas.records import EntityIntent, Intent, RejectedIntent
from schemas.registry import SchemaLookup
from streams import topics
from streams.kafka.producer import ConfirmingProducer


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record on its way."""

    topic: str
    key: str
    value: bytes | None


@dataclass
class IntentSink:
    """Writes what was judged. At least once: a pair that comes again writes the same keys."""

    producer: ConfirmingProducer
    registry: SchemaLookup
    prefix: str = ""

    async def write(self, judged: Judged) -> Awaitable[Any]:
        """Queue every record of a pair; what is returned ends when the brokers have confirmed all of them."""
        return await self._send(self._outgoing(judged))

    async def write_again(self, intent: Intent, *, retracted: bool) -> Awaitable[Any]:
        """Queue what stands of a piece of evidence once more, because an older edition of it came after it.

        Raises what the registry raises.
        """
        return await self._send(await asyncio.to_thread(lambda: list(self._of_intent(intent, retracted=retracted))))

    async def _send(self, outgoing: Iterable[Outgoing]) -> Awaitable[Any]:
        sent = [await self.producer.enqueue(one.topic, one.value, key=one.key.encode()) for one in outgoing]
        return asyncio.gather(*sent)

    def look_up(self) -> None:
        """Ask the registry for the ids of our schemas. Blocks; raises what the registry raises."""
        _ = self._intents.schema_id, self._rejected.schema_id, self._entities.schema_id

    def _outgoing(self, judged: Judged) -> Iterator[Outgoing]:
        for intent in judged.accepted:
            yield from self._of_intent(intent)
        for refused in judged.rejected:
            value = self._rejected.encode(refused)
            yield Outgoing(self.prefix + topics.REJECTED_INTENTS.name, refused.pair_id, value)

    def _of_intent(self, intent: Intent, *, retracted: bool = False) -> Iterator[Outgoing]:
        """The log first: a worker that is stopped here and wakes as a zombie must not be late in the log alone, for it
        is among the entities' records that one who came late is found out (docs/adr/0008)."""
        value = None if retracted else self._intents.encode(intent)
        yield Outgoing(self.prefix + topics.INTENTS.name, f"{intent.intent_id}/{intent.pair_id}", value)
        for kind, key in entities_of(intent):
            yield self._entity(EntityIntent(entity_kind=kind, entity_key=key, retracted=retracted, intent=intent))

    def _entity(self, record: EntityIntent) -> Outgoing:
        key = f"{record.entity_kind}:{record.entity_key}"
        return Outgoing(self.prefix + topics.ENTITY_INTENTS.name, key, self._entities.encode(record))

    @cached_property
    def _intents(self) -> Codec[Intent]:
        return Codec(topics.INTENTS.name, Intent, self.registry)

    @cached_property
    def _rejected(self) -> Codec[RejectedIntent]:
        return Codec(topics.REJECTED_INTENTS.name, RejectedIntent, self.registry)

    @cached_property
    def _entities(self) -> Codec[EntityIntent]:
        return Codec(topics.ENTITY_INTENTS.name, EntityIntent, self.registry)
