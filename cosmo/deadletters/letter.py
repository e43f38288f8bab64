"""One dead letter: the record as it came, and what the worker that turned it away wrote beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from confluent_kafka import Message

from cosmo.runtime.logs import at
from streams.kafka.dead_letters import PREFIX

DLQ = ".dlq"
REPLAYS_HEADER = "cosmo_replays"
"""How often a record was replayed; it stays with the record, so a letter that comes back tells it."""

Headers = Sequence[tuple[str, bytes | None]]
_MOST_DIGITS = 18
_FIRST_MS, _LAST_MS = 0, 253_402_300_799_000
"""1970 and the last second of the year 9999."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """``headers`` are the original ones; ``errors`` holds ours, by their names without ``__streams.errors.``."""

    topic: str
    """The dead-letter topic, prefix included."""
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    errors: Mapping[str, str]

    @property
    def where(self) -> str:
        """Its own place, as ``cosmo dlq show`` is asked for it."""
        return at(self.topic, self.partition, self.offset)

    @property
    def source(self) -> str:
        """The topic that it came from, prefix included."""
        return self.topic.removesuffix(DLQ)

    @property
    def source_partition(self) -> int | None:
        """None when the letter does not say, or says nonsense: then another program wrote it."""
        return _number(self.errors.get("partition", "").encode())

    @property
    def came_from(self) -> str:
        """The record's place in its topic, as far as the letter tells."""
        partition, offset = self.errors.get("partition", "?"), self.errors.get("offset", "?")
        return f"{self.errors.get('topic', self.source)}[{partition}]@{offset}"

    @property
    def reason(self) -> str:
        return self.errors.get("reason", "")

    @property
    def detail(self) -> str:
        return self.errors.get("message", "")

    @property
    def died_at(self) -> datetime:
        """By its record's timestamp; one that is out of range, as others may write it, is the nearest in it."""
        return datetime.fromtimestamp(min(max(self.timestamp_ms, _FIRST_MS), _LAST_MS) / 1000, UTC)

    @property
    def replays(self) -> int:
        """How often the record had been replayed when it died."""
        counts = [value or b"" for name, value in self.headers if name == REPLAYS_HEADER]
        return (_number(counts[-1]) if counts else None) or 0

    @property
    def size_bytes(self) -> int:
        headers = sum(len(name) + len(value or b"") for name, value in self.headers)
        return len(self.key or b"") + len(self.value or b"") + headers


def _number(digits: bytes) -> int | None:
    """A number that somebody else wrote; None for what is none, or has more digits than anything counted has."""
    return int(digits) if digits.isdigit() and len(digits) <= _MOST_DIGITS else None


def of(message: Message) -> Letter:
    """The letter in a record of a dead-letter topic."""
    original, errors = split([(header[0], _bytes(header[1])) for header in message.headers() or ()])
    return Letter(
        topic=message.topic() or "",
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        timestamp_ms=message.timestamp()[1],
        key=_bytes(message.key()),
        value=_bytes(message.value()),
        headers=original,
        errors=errors,
    )


def split(headers: Headers) -> tuple[Headers, dict[str, str]]:
    """(the record's own headers, what the worker added), which it adds at the end and begins with the topic.

    A record that had such headers before, from another system's dead letters, keeps them.
    """
    begins = [index for index, (name, _) in enumerate(headers) if name == f"{PREFIX}topic"]
    cut = begins[-1] if begins else len(headers)
    ours = headers[cut:]
    if not all(name.startswith(PREFIX) for name, _ in ours):
        own = [header for header in headers if not header[0].startswith(PREFIX)]
        return own, _texts([header for header in headers if header[0].startswith(PREFIX)])
    return list(headers[:cut]), _texts(ours)


def _texts(headers: Headers) -> dict[str, str]:
    return {name.removeprefix(PREFIX): (value or b"").decode("utf-8", "replace") for name, value in headers}


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
