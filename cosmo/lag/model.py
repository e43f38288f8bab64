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
    """One partition as the brokers describe it. ``problem`` says what they did not tell, and why.

    Log offsets are None where they did not answer. ``stable_offset`` is where the first open transaction begins, or the
    end: nobody reads on from there before it has ended. ``committed_offset`` is None where nothing was committed, or,
    with ``commit_known`` False, where nobody said. ``exists``: whether there is such a topic. ``from_beginning``:
    without a commit the group begins at the first record there is; of a group that is not ours nobody can know where.
    """

    topic: str
    partition: int
    committed_offset: int | None
    log_start_offset: int | None
    log_end_offset: int | None
    oldest: Oldest = "unread"
    owner: str = ""
    problem: str = ""
    commit_known: bool = True
    exists: bool = True
    stable_offset: int | None = None
    from_beginning: bool = False

    @property
    def position(self) -> int | None:
        """The first offset that the group has still to read, as far as it is there; None where nobody knows."""
        if self.log_start_offset is None or not self.commit_known:
            return None
        if self.committed_offset is None:
            return self.log_start_offset if self.from_beginning else None
        return max(self.log_start_offset, self.committed_offset)

    @property
    def held_back(self) -> int:
        """Offsets behind the start of an open transaction."""
        if self.stable_offset is None or self.log_end_offset is None:
            return 0
        return max(0, self.log_end_offset - self.stable_offset)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupReading:
    """One group. ``state`` in Kafka's words (``STABLE``, ``EMPTY``…); ``DEAD``: no broker knows it; ``UNKNOWN``: none
    told, and ``problem`` says why."""

    group: str
    state: str
    members: int
    partitions: tuple[PartitionReading, ...]
    problem: str = ""


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
    NO_TOPIC = "no topic"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionLag:
    """Lag of one group on one partition. ``records`` and ``seconds`` are None where nobody can know them.

    ``records`` counts offsets from the oldest record not committed to the end of the log (in a compacted topic an upper
    bound); where one of our groups has no commit, that is the whole log. ``seconds`` is the age of that record by its
    own timestamp. ``deleted_unread`` counts offsets that retention removed before the group read them, ``held_back``
    those that an open transaction lets nobody read. ``problem`` is what the brokers did not tell; ``note`` has it too,
    for people.
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
    problem: str = ""
    held_back: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """The lag of several partitions together. Where not all of it is known, ``records`` and ``seconds`` are the least
    that they can be; None where nothing is known."""

    records: int | None
    seconds: float | None
    all_records: bool
    all_seconds: bool

    @classmethod
    def of(cls, partitions: tuple[PartitionLag, ...]) -> Total:
        """What is not known of a partition may be any number: a group may wait there for what nobody counted."""
        records = [one.records for one in partitions if one.records is not None]
        seconds = [one.seconds for one in partitions if one.seconds is not None]
        return cls(
            records=sum(records) if records else None,
            seconds=max(seconds, default=None),
            all_records=len(records) == len(partitions),
            all_seconds=len(seconds) == len(partitions),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLag:
    """Lag of a group: the sum of its partitions' records and the age of the oldest; None as soon as a part of it is not
    known, since it would look like all of it."""

    group: str
    state: str
    members: int
    partitions: tuple[PartitionLag, ...]
    problem: str = ""

    @property
    def total(self) -> Total:
        return Total.of(self.partitions)

    @property
    def records(self) -> int | None:
        return self.total.records if self.total.all_records else None

    @property
    def seconds(self) -> float | None:
        return self.total.seconds if self.total.all_seconds else None

    @property
    def complete(self) -> bool:
        """Whether every figure is known, those of its partitions as well."""
        return not self.problems and self.records is not None and self.seconds is not None

    @property
    def exists(self) -> bool:
        """False for a group that no broker knows, and that is none of ours: those have topics before they ever run."""
        return self.state != "DEAD" or bool(self.partitions or self.problem)

    @property
    def problems(self) -> int:
        """How many questions about it the brokers did not answer."""
        return bool(self.problem) + sum(bool(one.problem) for one in self.partitions)
