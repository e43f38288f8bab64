"""Reads the log of intents as it stands now: what has been written when reading begins, and nothing after."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from cosmo.runtime import logs
from cosmo.runtime.errors import CosmoError
from cosmo.runtime.settings import Settings
from schemas.codec import Codec
from schemas.errors import Reason, Undecodable
from schemas.records import Intent
from schemas.registry import SchemaLookup
from streams import topics
from streams.kafka.clients import log_reader
from streams.kafka.lag import end_offsets, start_offsets

BATCH = 2_000
"""Records handed over at a time: 2 to 4 MB."""
ANSWER_S = 10.0
"""A broker that is silent for so long is not there."""

log = logs.get(__name__)
Seen = Callable[[int], None]
"""Told how many more offsets have been passed."""
Unreadable = Callable[[Reason], None]
"""Told why one more record could not be read."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record of the log; ``value`` is None for a tombstone."""

    partition: int
    offset: int
    key: bytes
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Span:
    """The offsets that a partition holds: from ``start`` up to, not including, ``end``. Compaction leaves holes."""

    partition: int
    start: int
    end: int


class IntentLog:
    """Every `records` gives the same spans from the start again. Blocks; use it as a context manager.

    Raises CosmoError when Kafka does not answer or has no such topic.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.topic = settings.topic_prefix + topics.INTENTS.name

    def __enter__(self) -> Self:
        self._reader: Consumer = log_reader(self._settings)
        try:
            self.spans = self._spans()
        except KafkaException as error:
            self._reader.close()
            raise _unreachable(self._settings, error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()

    @property
    def offsets(self) -> int:
        """How many offsets one reading passes."""
        return sum(span.end - span.start for span in self.spans)

    def records(self, seen: Seen = lambda _: None) -> Iterator[list[Record]]:
        """Batches of records, one partition after the other, each in the order of its offsets."""
        for span in self.spans:
            at = span.start
            for batch in self._read(span):
                passed = batch[-1].offset + 1
                seen(passed - at)
                at = passed
                yield batch
            seen(span.end - at)

    def _spans(self) -> list[Span]:
        found = self._reader.list_topics(self.topic, timeout=ANSWER_S).topics[self.topic]
        if found.error is not None:
            raise CosmoError(
                f"Kafka has no topic {self.topic}.", advice="Check COSMO_TOPIC_PREFIX; `cosmo stack up` makes topics."
            )
        wanted = [(self.topic, number) for number in sorted(found.partitions)]
        starts, ends = start_offsets(self._reader, wanted, ANSWER_S), end_offsets(self._reader, wanted, ANSWER_S)
        return [Span(one[1], starts[one], ends[one]) for one in wanted if ends[one] > starts[one]]

    def _read(self, span: Span) -> Iterator[list[Record]]:
        self._reader.assign([TopicPartition(self.topic, span.partition, span.start)])
        batch: list[Record] = []
        at = span.start
        while at < span.end:
            # One by one: `consume` would wait for a full batch, or for its time to be over, beyond the partition's end.
            message = self._reader.poll(ANSWER_S)
            if message is None:
                raise _unreachable(self._settings, None)
            if not _holds_record(message):
                at = span.end if _at_end(message) else at
                continue
            record = _record(message)
            at = record.offset + 1
            if record.offset < span.end:
                batch.append(record)
            if len(batch) == BATCH:
                yield batch
                batch = []
        if batch:
            yield batch


def decoded(
    codec: Codec[Intent], topic: str, records: Iterable[Record], unreadable: Unreadable
) -> Iterator[tuple[Record, Intent]]:
    """The intents of the records that hold one; what cannot be read is logged by its place, and ``unreadable`` told."""
    for record in records:
        if record.value is None:
            continue
        try:
            yield record, codec.decode(record.value)
        except Undecodable as error:
            where = logs.at(topic, record.partition, record.offset)
            log.warning("record cannot be read", record=where, reason=str(error.reason), detail=error.detail)
            unreadable(error.reason)


def intents_codec(registry: SchemaLookup) -> Codec[Intent]:
    """Reads the values of the log."""
    return Codec(topics.INTENTS.name, Intent, registry)


def _holds_record(message: Message) -> bool:
    """Raises CosmoError for an error that will not pass; the client itself repeats what failed for now."""
    error = message.error()
    if error is not None and not _at_end(message) and (error.fatal() or not error.retriable()):
        raise CosmoError(f"The log of intents cannot be read: {error.str()}.") from KafkaException(error)
    return error is None


def _at_end(message: Message) -> bool:
    error = message.error()
    return error is not None and error.code() == KafkaError._PARTITION_EOF


def _record(message: Message) -> Record:
    return Record(
        message.partition() or 0, message.offset() or 0, _bytes(message.key()) or b"", _bytes(message.value())
    )


def _bytes(data: str | bytes | None) -> bytes | None:
    return data.encode() if isinstance(data, str) else data


def _unreachable(settings: Settings, error: KafkaException | None) -> CosmoError:
    reason = f": {error.args[0].str()}" if error is not None and error.args else ""
    return CosmoError(
        f"Kafka at {settings.kafka_bootstrap_servers} does not answer{reason}.",
        advice="Start it with `cosmo stack up`, or set KAFKA_BOOTSTRAP_SERVERS.",
    )
