"""What the brokers say about groups (a snapshot), and what follows from it (lag). Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class OldestRecord:
    """The first record a group has still to read. ``timestamp`` is None where the topic carries none."""

    offset: int
    timestamp: datetime | None


Oldest = OldestRecord | Literal["nothing", "unread"]
"""``nothing``: the log, read from the commit to its end, holds no record. ``unread``: nobody looked, or in vain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionReading:
    """One partition as the brokers describe it. Offsets are None where they did not answer; ``problem`` says why."""

    topic: str
    partition: int
    committed_offset: int | None
    log_start_offset: int | None
    log_end_offset: int | None
    oldest: Oldest = "unread"
    owner: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupReading:
    """One group. ``state`` in Kafka's words (``STABLE``, ``EMPTY``…); ``DEAD``: no broker knows it."""

    group: str
    state: str
    members: int
    partitions: tuple[PartitionReading, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What was read at ``taken_at`` (aware UTC)."""

    taken_at: datetime
    groups: tuple[GroupReading, ...]


class Standing(StrEnum):
    """Where a group stands on a partition."""

    CURRENT = "current"
    BEHIND = "behind"
    NO_COMMIT = "no commit yet"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionLag:
    """Lag of one group on one partition. ``records`` and ``seconds`` are None where nobody can know them.

    ``records`` counts offsets from the oldest record not committed to the end of the log: in a compacted topic an upper
    bound. ``seconds`` is the age of that record by its own timestamp. ``deleted_unread`` counts offsets that retention
    removed before the group read them.
    """

    topic: str
    partition: int
    standing: Standing
    records: int | None
    seconds: float | None
    committed_offset: int | None
    log_start_offset: int | None
    log_end_offset: int | None
    deleted_unread: int
    owner: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLag:
    """Lag of a group: the sum of its partitions' records and the age of the oldest, over what is known."""

    group: str
    state: str
    members: int
    partitions: tuple[PartitionLag, ...]

    @property
    def records(self) -> int | None:
        return total_records(self.partitions)

    @property
    def seconds(self) -> float | None:
        return worst_seconds(self.partitions)


def total_records(partitions: tuple[PartitionLag, ...]) -> int | None:
    """None when no partition's lag is known."""
    known = [partition.records for partition in partitions if partition.records is not None]
    return sum(known) if known else None


def worst_seconds(partitions: tuple[PartitionLag, ...]) -> float | None:
    """None when no partition's age is known."""
    return max((partition.seconds for partition in partitions if partition.seconds is not None), default=None)
