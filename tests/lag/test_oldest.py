from __future__ import annotations

from datetime import UTC, datetime

from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_NOT_AVAILABLE, KafkaError, Message, TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from cosmo.lag.model import Oldest, OldestRecord
from cosmo.lag.oldest import Position, oldest_records
from cosmo.runtime.deadline import Deadline

AT = 1_800_000_000_000


class MemoryLog:
    """A consumer over offsets in memory; each poll answers for the partition that has waited longest."""

    def __init__(self, logs: dict[tuple[str, int], list[int]], *, silent: frozenset[tuple[str, int]] = frozenset()):
        self._logs = logs
        self._silent = silent
        self._assigned: dict[tuple[str, int], int] = {}
        self.polls = 0

    def assign(self, partitions: list[TopicPartition]) -> None:
        keys = [(one.topic, one.partition) for one in partitions]
        assert len(keys) == len(set(keys)), "a consumer reads a partition from one place at a time"
        self._assigned = {(one.topic, one.partition): one.offset for one in partitions}

    def unassign(self) -> None:
        self._assigned = {}

    def incremental_unassign(self, partitions: list[TopicPartition]) -> None:
        for one in partitions:
            del self._assigned[one.topic, one.partition]

    def poll(self, timeout: float) -> Message | None:
        self.polls += 1
        key = next((key for key in self._assigned if key not in self._silent), None)
        if key is None:
            return None
        offset = next((one for one in self._logs[key] if one >= self._assigned[key]), None)
        topic, partition = key
        if offset is None:
            return Message(topic=topic, partition=partition, error=KafkaError(KafkaError._PARTITION_EOF))
        return Message(topic=topic, partition=partition, offset=offset, timestamp=(TIMESTAMP_CREATE_TIME, AT + offset))


def _tick(times: list[float]) -> float:
    times.append(0.0)
    return float(len(times))


def _deadline(polls: int = 10_000) -> Deadline:
    """Each look at the clock takes a second."""
    times: list[float] = []
    return Deadline.after(polls, clock=lambda: _tick(times))


def _expected(log: list[int], offset: int) -> Oldest:
    found = next((one for one in log if one >= offset), None)
    if found is None:
        return "nothing"
    return OldestRecord(offset=found, timestamp=datetime.fromtimestamp((AT + found) / 1000, UTC))


logs = st.dictionaries(
    st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 2)),
    st.lists(st.integers(0, 50), unique=True).map(sorted),
    min_size=1,
)


@given(logs, st.data())
def test_every_position_finds_the_first_record_at_or_after_it(
    logs: dict[tuple[str, int], list[int]], data: st.DataObject
) -> None:
    """Also where several groups stand at different offsets of one partition, and where compaction left holes."""
    keys = st.sampled_from(sorted(logs))
    positions: set[Position] = {
        (*key, offset) for key, offset in data.draw(st.lists(st.tuples(keys, st.integers(0, 60)), max_size=12))
    }
    found = oldest_records(MemoryLog(logs), positions, _deadline())
    assert found == {position: _expected(logs[position[:2]], position[2]) for position in positions}


def test_a_partition_that_does_not_answer_costs_the_deadline_and_not_the_others() -> None:
    log = MemoryLog({("a", 0): [5], ("a", 1): [7]}, silent=frozenset({("a", 0)}))
    found = oldest_records(log, {("a", 0, 0), ("a", 1, 0)}, _deadline(polls=20))
    assert found["a", 0, 0] == "unread"
    assert isinstance(found["a", 1, 0], OldestRecord)
    assert log.polls <= 20


def test_a_record_without_timestamp_has_an_offset_but_no_age() -> None:
    class Undated(MemoryLog):
        def poll(self, timeout: float) -> Message | None:
            return Message(topic="a", partition=0, offset=3, timestamp=(TIMESTAMP_NOT_AVAILABLE, -1))

    found = oldest_records(Undated({("a", 0): [3]}), {("a", 0, 0)}, _deadline())
    assert found["a", 0, 0] == OldestRecord(offset=3, timestamp=None)
