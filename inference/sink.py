"""Where the outcome of a pair goes: the log of intents, the rejected ones, and each entity's features."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from inference.entities import entities_of
from inference.judged import Judged
from schemas.codec import Codec
from schemas.records import EntityIntent, EntityKind, Intent, RejectedIntent
from schemas.registry import SchemaLookup
from streams import topics
from streams.kafka.producer import ConfirmingProducer


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record on its way."""

    topic: str
    key: str
    value: bytes


@dataclass
class IntentSink:
    """Writes what was judged. At least once: a pair that comes again writes the same keys."""

    producer: ConfirmingProducer
    registry: SchemaLookup
    prefix: str = ""

    async def write(self, judged: Judged) -> Awaitable[Any]:
        """Queue every record of a pair; what is returned ends when the brokers have confirmed all of them."""
        sent = [
            await self.producer.enqueue(one.topic, one.value, key=one.key.encode()) for one in self._outgoing(judged)
        ]
        return asyncio.gather(*sent)

    def look_up(self) -> None:
        """Ask the registry for the ids of our schemas. Blocks; raises what the registry raises."""
        _ = self._intents.schema_id, self._rejected.schema_id, self._entities.schema_id

    def _outgoing(self, judged: Judged) -> Iterator[Outgoing]:
        """Features first: they are what somebody waits for."""
        for intent in judged.accepted:
            for kind, key in entities_of(intent):
                yield self._entity(kind, key, intent)
        for intent in judged.accepted:
            key = f"{intent.intent_id}/{intent.pair_id}"
            yield Outgoing(self.prefix + topics.INTENTS.name, key, self._intents.encode(intent))
        for refused in judged.rejected:
            value = self._rejected.encode(refused)
            yield Outgoing(self.prefix + topics.REJECTED_INTENTS.name, refused.pair_id, value)

    def _entity(self, kind: EntityKind, key: str, intent: Intent) -> Outgoing:
        value = self._entities.encode(EntityIntent(entity_kind=kind, entity_key=key, intent=intent))
        return Outgoing(self.prefix + topics.ENTITY_INTENTS.name, f"{kind}:{key}", value)

    @cached_property
    def _intents(self) -> Codec[Intent]:
        return Codec(topics.INTENTS.name, Intent, self.registry)

    @cached_property
    def _rejected(self) -> Codec[RejectedIntent]:
        return Codec(topics.REJECTED_INTENTS.name, RejectedIntent, self.registry)

    @cached_property
    def _entities(self) -> Codec[EntityIntent]:
        return Codec(topics.ENTITY_INTENTS.name, EntityIntent, self.registry)
