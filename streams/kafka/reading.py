"""Reads one partition from an offset to its end: how a log is loaded, without a group and without committing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition

from cosmo.runtime.deadline import Deadline
from cosmo.runtime.errors import CosmoError
from cosmo.runtime.settings import Settings
from streams.kafka.clients import log_reader

SILENCE_S = 120.0
"""The client asks brokers that do not answer again and again; after this long without a record the reader gives up."""
_AT_ONCE = 200


class LogUnread(CosmoError):  # noqa: N818 - an outcome, named by what it says
    """The brokers did not hand over a log to its end."""

    retriable = True


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A record with its place; a record without key has an empty one."""

    offset: int
    key: bytes
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


def read_to_end(
    settings: Settings, topic: str, partition: int, *, first_offset: int = OFFSET_BEGINNING
) -> Iterator[LogRecord]:
    """Every record from ``first_offset`` (or the first kept) up to where the log ends when that is reached; so at
    least up to every record that was confirmed before the call. Blocks. Raises LogUnread."""
    for message in messages_to_end(settings, topic, partition, first_offset=first_offset):
        yield as_record(message)


def messages_to_end(
    settings: Settings,
    topic: str,
    partition: int,
    *,
    first_offset: int = OFFSET_BEGINNING,
    given_up: Callable[[], bool] = lambda: False,
) -> Iterator[Message]:
    """As `read_to_end`, with all that the client knows of each record. ``given_up`` is asked twice a second while there
    is none: whoever reads in a thread cannot be interrupted, and would wait for silent brokers. LogUnread, then."""
    reader = log_reader(settings)
    try:
        reader.assign([TopicPartition(topic, partition, first_offset)])
        yield from _messages(reader, f"{topic}[{partition}]", given_up)
    finally:
        reader.close()


def _messages(reader: Consumer, where: str, given_up: Callable[[], bool]) -> Iterator[Message]:
    deadline = Deadline.after(SILENCE_S)
    while True:
        if given_up():
            raise LogUnread(f"{where} was not read to its end: interrupted.")
        for message in _next(reader):
            error = message.error()
            if error is None:
                deadline = Deadline.after(SILENCE_S)
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:
                return
            elif not error.retriable() and error.code() != KafkaError._ALL_BROKERS_DOWN:
                raise LogUnread(f"{where} cannot be read: {error.str()}.", advice="Look at the brokers and their ACLs.")
        if deadline.expired:
            raise LogUnread(f"{where} was not read to its end within {SILENCE_S:.0f} s.", advice="Look at the brokers.")


def _next(reader: Consumer) -> list[Message]:
    """What is there, at once; `consume` alone would wait for a full batch."""
    first = reader.poll(0.5)
    return [] if first is None else [first, *reader.consume(_AT_ONCE, timeout=0.0)]


def as_record(message: Message) -> LogRecord:
    """A message that is no error."""
    headers = tuple((header[0], _bytes(header[1])) for header in message.headers() or ())
    return LogRecord(message.offset() or 0, _bytes(message.key()) or b"", _bytes(message.value()), headers)


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
