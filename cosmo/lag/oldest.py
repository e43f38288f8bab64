"""Reads, from the log itself, the first record after an offset: the only honest source of lag in seconds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Protocol

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, KafkaError, Message, TopicPartition

from cosmo.lag.model import Oldest, OldestRecord
from cosmo.runtime.deadline import Deadline

Position = tuple[str, int, int]
"""Topic, partition and the offset from which to look."""


class LogReader(Protocol):
    """The part of a consumer that is needed; it must report the end of a partition (``enable.partition.eof``)."""

    def assign(self, partitions: list[TopicPartition]) -> None: ...
    def unassign(self) -> None: ...
    def incremental_unassign(self, partitions: list[TopicPartition]) -> None: ...
    def poll(self, timeout: float) -> Message | None: ...


def oldest_records(reader: LogReader, positions: Iterable[Position], deadline: Deadline) -> dict[Position, Oldest]:
    """The first record at or after each position; ``unread`` where the deadline passed before the brokers answered.

    A consumer reads a partition from one place at a time, so groups that stand at different offsets take turns.
    """
    found: dict[Position, Oldest] = {}
    for turn in _turns(positions):
        found.update(_one_turn(reader, turn, deadline))
    return found


def _turns(positions: Iterable[Position]) -> Iterator[list[Position]]:
    waiting: dict[tuple[str, int], set[Position]] = defaultdict(set)
    for position in positions:
        waiting[position[:2]].add(position)
    while waiting:
        yield [choices.pop() for choices in waiting.values()]
        waiting = defaultdict(set, {key: choices for key, choices in waiting.items() if choices})


def _one_turn(reader: LogReader, turn: list[Position], deadline: Deadline) -> dict[Position, Oldest]:
    open_ = {(topic, partition): (topic, partition, offset) for topic, partition, offset in turn}
    found: dict[Position, Oldest] = dict.fromkeys(turn, "unread")
    reader.assign([TopicPartition(*position) for position in turn])
    while open_ and not deadline.expired:
        message = reader.poll(min(0.5, deadline.remaining_s))
        if message is None:
            continue
        position = open_.get(_partition(message))
        if position is None:
            continue  # buffered before its partition was taken off
        oldest = _oldest(message)
        if oldest == "unread":
            continue  # a transient error of one partition; the client tries again until the deadline
        found[position] = oldest
        del open_[position[:2]]
        reader.incremental_unassign([TopicPartition(*position[:2])])
    reader.unassign()
    return found


def _partition(message: Message) -> tuple[str, int]:
    return message.topic() or "", -1 if (partition := message.partition()) is None else partition


def _oldest(message: Message) -> Oldest:
    error = message.error()
    if error is not None:
        return "nothing" if error.code() == KafkaError._PARTITION_EOF else "unread"
    kind, milliseconds = message.timestamp()
    known = kind != TIMESTAMP_NOT_AVAILABLE and milliseconds >= 0
    offset = message.offset()
    return OldestRecord(
        offset=-1 if offset is None else offset,
        timestamp=datetime.fromtimestamp(milliseconds / 1000, UTC) if known else None,
    )
