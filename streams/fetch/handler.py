"""What a process's logic sees of Kafka: fetches in, and one promise a fetch, kept when the sinks have confirmed it."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from cosmo.runtime.deadline import Deadline
from streams.fetch.records import RawRecord, Records, Spans

__all__ = ["Background", "Bad", "Fetch", "Handler", "RawRecord"]


@dataclass(frozen=True, slots=True)
class Fetch:
    """Consecutive records of one partition, in offset order, never empty. Offsets may have holes (compaction)."""

    topic: str
    partition: int
    records: Sequence[RawRecord]

    @property
    def values(self) -> Spans:
        """Values alone, in order; cheap, because it makes no `RawRecord`."""
        if isinstance(self.records, Records):
            return self.records.values
        return Spans.of([record.value for record in self.records])

    def has_header(self, name: str) -> bool:
        """Whether any record carries this header."""
        if isinstance(self.records, Records):
            return self.records.has_header(name)
        return any(header == name for record in self.records for header, _ in record.headers)

    @property
    def first_offset(self) -> int:
        return self.records[0].offset

    @property
    def last_offset(self) -> int:
        return self.records[-1].offset


@dataclass(frozen=True, slots=True)
class Bad:
    """A record that cannot be used, and goes to the dead letters."""

    record: RawRecord
    reason: str
    detail: str


class Handler(Protocol):
    """The logic of one worker process.

    Delivery is at least once: a fetch whose promise was not kept before the process died comes again,
    perhaps cut differently and perhaps to another owner, so whatever a handler does must be idempotent.
    """

    async def start(self) -> None:
        """Open what the handler needs; called once, before any assignment."""

    async def assigned(self, topic: str, partitions: frozenset[int]) -> None:
        """These partitions are ours from now on: load their state. No fetch of theirs comes before this returns."""

    async def revoked(self, topic: str, partitions: frozenset[int]) -> None:
        """These partitions are no longer ours; drop their state."""

    async def handle(self, fetch: Fetch) -> Awaitable[None]:
        """Take the fetch on; return only when there is room for the next (this is how backpressure reaches the broker).

        The awaitable returned finishes when every record of the fetch has ended: its effects confirmed by the sinks,
        or itself confirmed as a dead letter. Only then are its offsets committed. An exception from either stops
        the worker.
        """
        ...

    async def stop(self, deadline: Deadline) -> None:
        """Finish or abandon what is in flight within the deadline."""


@runtime_checkable
class Background(Protocol):
    """A handler that also works of its own accord, between fetches and without them."""

    async def background(self) -> None:
        """Run until cancelled, which happens before `Handler.stop`. What it raises stops the worker, like an exception
        from a promise; a handler that failed in a task of its own must not merely fall silent."""
