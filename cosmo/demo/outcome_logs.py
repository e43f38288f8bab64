"""Follows the topics in which outcomes lie (intents, rejections, dead letters, entities) and counts them by reason."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, cast

from confluent_kafka import Consumer, Message, TopicPartition

from cosmo.runtime.settings import Settings
from schemas.codec import Codec
from schemas.errors import BadRecord
from schemas.framing import Headers
from schemas.records import EntityIntent, EntityKind, Intent, RejectedIntent
from schemas.registry import Registry
from streams import topics
from streams.kafka.clients import log_reader
from streams.kafka.dead_letters import PREFIX

BATCH = 2_000
NEWEST = 6

Entity = tuple[EntityKind, str]


@dataclass(slots=True)
class Outcomes:
    """What the logs hold so far. ``intents`` maps an intent's key in the compacted log to whether it stands."""

    intents: dict[bytes, bool] = field(default_factory=dict)
    newest: deque[Intent] = field(default_factory=lambda: deque(maxlen=NEWEST))
    rejected: Counter[str] = field(default_factory=Counter)
    dead: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By source topic and reason."""
    entities: dict[Entity, int] = field(default_factory=dict)
    """Entities named so far, and the largest support among their intents."""

    @property
    def kept(self) -> int:
        return sum(self.intents.values())

    def add_intent(self, key: bytes, intent: Intent | None) -> None:
        """One record of the compacted log; None is a tombstone."""
        if intent is not None and key not in self.intents:
            self.newest.append(intent)
        self.intents[key] = intent is not None

    def add_entity(self, record: EntityIntent) -> None:
        entity = record.entity_kind, record.entity_key
        self.entities[entity] = max(self.entities.get(entity, 0), record.intent.support)


class OutcomeLogs:
    """Reads on from where it was at each call of `read`. Not thread-safe; belongs to no group."""

    def __init__(self, settings: Settings) -> None:
        self.outcomes = Outcomes()
        self._prefix = settings.topic_prefix
        self._registry = Registry(settings)
        self._consumer: Consumer = log_reader(settings)
        self._codecs: dict[str, Codec[Any]] = {
            topics.INTENTS.name: Codec(topics.INTENTS.name, Intent, self._registry),
            topics.REJECTED_INTENTS.name: Codec(topics.REJECTED_INTENTS.name, RejectedIntent, self._registry),
            topics.ENTITY_INTENTS.name: Codec(topics.ENTITY_INTENTS.name, EntityIntent, self._registry),
        }
        self._dead = {topic.dlq: topic.name for process in topics.CONSUMED.values() for topic in process}
        self._consumer.assign(
            [
                TopicPartition(self._prefix + name, partition, 0)
                for name in (*self._codecs, *self._dead)
                for partition in range(settings.topic_partitions)
            ]
        )

    def read(self, timeout_s: float) -> Outcomes:
        """Take in what is there, waiting for the first record at most this long."""
        for message in self._consumer.consume(BATCH, timeout_s):
            if message.error() is None:
                self._take(message)
        return self.outcomes

    def close(self) -> None:
        self._consumer.close()
        self._registry.close()

    def _take(self, message: Message) -> None:
        name = (message.topic() or "").removeprefix(self._prefix)
        if name in self._dead:
            self.outcomes.dead[self._dead[name], _reason(message)] += 1
            return
        value = message.value()
        if name == topics.INTENTS.name and value is None:
            self.outcomes.add_intent(message.key() or b"", None)
            return
        try:
            record = self._codecs[name].decode(value, _headers(message))
        except BadRecord:
            return  # only our workers write here; what is unreadable is theirs to report
        if isinstance(record, Intent):
            self.outcomes.add_intent(message.key() or b"", record)
        elif isinstance(record, RejectedIntent):
            self.outcomes.rejected[record.reason] += 1
        else:
            self.outcomes.add_entity(record)


def _reason(message: Message) -> str:
    named = dict(_headers(message)).get(f"{PREFIX}reason")
    return "unknown" if named is None else named.decode("utf-8", "replace")


def _headers(message: Message) -> Headers:
    """As the broker gives them, which is never as text or as a mapping, though the client's types allow for both."""
    return cast("Headers", message.headers() or ())
