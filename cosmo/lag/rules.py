"""From a snapshot to lag: numbered rules, first match wins. Pure; no clock, no client."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from cosmo.lag.model import (
    GroupLag,
    GroupReading,
    OldestRecord,
    PartitionLag,
    PartitionReading,
    Snapshot,
    Standing,
)


def group_lags(snapshot: Snapshot) -> tuple[GroupLag, ...]:
    """The lag of every group in the snapshot, in its order."""
    return tuple(_group(reading, snapshot.taken_at) for reading in snapshot.groups)


def _group(reading: GroupReading, now: datetime) -> GroupLag:
    partitions = tuple(partition_lag(partition, now) for partition in reading.partitions)
    return GroupLag(
        group=reading.group,
        state=reading.state,
        members=reading.members,
        partitions=partitions,
        problem=reading.problem,
    )


def standing(reading: PartitionReading) -> Standing:
    """Where the group stands on a partition.

    1. There is no such topic: no topic.
    2. The log's bounds are unknown, or, of a log that is not empty, what was committed: unreadable. An answer that did
       not come is not the same as no commit.
    3. The log is empty: current, committed or not.
    4. Nothing was committed, and the group is not ours: no commit yet. It may mean to begin at the beginning of the log
       or at its end, so its lag is unknown. Our groups begin at the beginning: to them the next rules apply as if they
       had committed where the log begins, and the whole log waits.
    5. The commit is at the end of the log, or beyond it because the topic was made anew: current.
    6. The log was read from the commit to its end and held nothing (compaction, aborted transactions): current. What an
       open transaction holds back is something, so it must be known that none is open.
    7. Anything else is behind.
    """
    start, end, position = reading.log_start_offset, reading.log_end_offset, reading.position
    if not reading.exists:
        return Standing.NO_TOPIC
    if start is None or end is None or (start < end and not reading.commit_known):
        return Standing.UNREADABLE
    if start >= end:
        return Standing.CURRENT
    if position is None:
        return Standing.NO_COMMIT
    if position >= end or (reading.oldest == "nothing" and reading.stable_offset is not None):
        return Standing.CURRENT
    return Standing.BEHIND


def partition_lag(reading: PartitionReading, now: datetime) -> PartitionLag:
    """Lag on one partition at ``now``."""
    where = standing(reading)
    records, seconds = _figures(reading, where, now)
    deleted = _deleted_unread(reading)
    return PartitionLag(
        topic=reading.topic,
        partition=reading.partition,
        standing=where,
        records=records,
        seconds=seconds,
        committed_offset=reading.committed_offset,
        log_start_offset=reading.log_start_offset,
        log_end_offset=reading.log_end_offset,
        deleted_unread=deleted,
        owner=reading.owner,
        note="; ".join(_notes(reading, where, deleted)),
        problem=reading.problem,
        held_back=reading.held_back,
    )


def _figures(reading: PartitionReading, where: Standing, now: datetime) -> tuple[int | None, float | None]:
    if where is Standing.CURRENT:
        return 0, 0.0
    if where is not Standing.BEHIND:
        return None, None
    end = reading.log_end_offset or 0
    if not isinstance(reading.oldest, OldestRecord):
        return end - (reading.position or 0), None
    # A record may have come, and been read by us, after the end was asked for: at least that one waits.
    return max(1, end - reading.oldest.offset), _age_s(reading.oldest, now)


def _age_s(oldest: OldestRecord, now: datetime) -> float | None:
    # A producer's clock may be ahead of ours; an age is never negative.
    return None if oldest.timestamp is None else max(0.0, (now - oldest.timestamp).total_seconds())


def _notes(reading: PartitionReading, where: Standing, deleted: int) -> Iterator[str]:
    start, end = reading.log_start_offset or 0, reading.log_end_offset or 0
    if where is Standing.NO_TOPIC:
        yield "the topic does not exist"
    if where is Standing.NO_COMMIT:
        yield f"no commit yet; {end - start:,} in the log"
    if where is Standing.BEHIND and reading.committed_offset is None:
        yield "no commit yet: all of the log waits"
    if where is Standing.CURRENT and (reading.committed_offset or 0) > end:
        yield "commit beyond the end of the log; was the topic made anew?"
    if isinstance(reading.oldest, OldestRecord) and reading.oldest.timestamp is None:
        yield "records carry no timestamp"
    if reading.problem:
        yield reading.problem
    if reading.held_back:
        yield f"a transaction open at offset {reading.stable_offset} holds back {reading.held_back:,}"
    if deleted:
        yield f"{deleted:,} deleted before they were read"


def _deleted_unread(reading: PartitionReading) -> int:
    if reading.log_start_offset is None or reading.committed_offset is None:
        return 0
    return max(0, reading.log_start_offset - reading.committed_offset)
