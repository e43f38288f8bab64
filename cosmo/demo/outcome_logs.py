"""Follows the topics in which outcomes lie (intents, rejections, dead letters, entities) and counts them by reason."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, cast

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from cosmo.demo.partitions import Listing, partitions_of
from cosmo.runtime.settings import Settings
from schemas.codec import Codec
from schemas.errors import BadRecord
from schemas.framing import Headers
from schemas.records import EntityIntent, EntityKind, Intent, RejectedIntent
from schemas.registry import Registry, SchemaLookup
from streams import topics
from streams.kafka.clients import log_reader
from streams.kafka.dead_letters import PREFIX

BATCH = 2_000
NEWEST = 6
LIST_S = 2.0
"""So long the brokers may take to tell which partitions there are; then they are asked again by the next reading."""

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
    learned: dict[Entity, datetime] = field(default_factory=dict)
    """When the newest intent of each was made."""

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
        made = record.intent.generated_time
        self.learned[entity] = max(self.learned.get(entity, made), made)


RECORDS: Mapping[str, type] = {
    topics.INTENTS.name: Intent,
    topics.REJECTED_INTENTS.name: RejectedIntent,
    topics.ENTITY_INTENTS.name: EntityIntent,
}
DEAD = {topic.dlq: topic.name for process in topics.CONSUMED.values() for topic in process}


class Consuming(Listing, Protocol):
    """The part of a consumer that is needed; it tells when the end of a partition is reached."""

    def assign(self, partitions: list[TopicPartition]) -> None: ...

    def consume(self, num_messages: int, timeout: float) -> list[Message]: ...


class OutcomeLogs:
    """Reads on from where it was at each call of `read`, of all partitions that there are. Not thread-safe."""

    def __init__(self, consumer: Consuming, registry: SchemaLookup, prefix: str = "") -> None:
        self.outcomes = Outcomes()
        self._unended: set[tuple[str, int]] | None = None
        """Partitions whose end was never reached; None as long as nobody told which there are."""
        self._consumer = consumer
        self._prefix = prefix
        self._waiting: deque[Message] = deque()
        self._codecs: dict[str, Codec[Any]] = {name: Codec(name, kind, registry) for name, kind in RECORDS.items()}

    @classmethod
    @contextmanager
    def of(cls, settings: Settings) -> Iterator[OutcomeLogs]:
        """On the brokers and the registry of these settings; belongs to no group."""
        with ExitStack() as undo:
            registry = undo.enter_context(closing(Registry(settings)))
            consumer: Consumer = undo.enter_context(closing(log_reader(settings)))
            yield cls(consumer, registry, settings.topic_prefix)

    @property
    def complete(self) -> bool:
        """Whether the end of every partition was reached once: before that the outcomes are those of a part of the
        logs, and no count of anything."""
        return self._unended is not None and not self._unended

    def read(self, timeout_s: float) -> Outcomes:
        """Take in what is there, up to a batch, waiting for the first record at most this long.

        Raises CosmoError when the registry does not tell a schema; what was fetched is taken in by the next call.
        Raises KafkaException or CosmoError when the brokers do not tell which partitions there are.
        """
        unended = self._unended if self._unended is not None else self._assign()
        if not self._waiting:
            self._waiting.extend(self._consumer.consume(BATCH, timeout_s))
        while self._waiting:
            message = self._waiting[0]
            if (error := message.error()) is None:
                self._take(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                unended.discard((message.topic() or "", message.partition() or 0))
            self._waiting.popleft()
        return self.outcomes

    def _assign(self) -> set[tuple[str, int]]:
        found = partitions_of(self._consumer, [self._prefix + name for name in (*RECORDS, *DEAD)], LIST_S)
        self._consumer.assign([TopicPartition(name, number, 0) for name, number in found])
        self._unended = set(found)
        return self._unended

    def _take(self, message: Message) -> None:
        name = (message.topic() or "").removeprefix(self._prefix)
        if name in DEAD:
            self.outcomes.dead[DEAD[name], _reason(message)] += 1
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
