"""What the brokers answer, and do not answer, about commits."""

from __future__ import annotations

from dataclasses import dataclass

from confluent_kafka import OFFSET_INVALID, KafkaError, KafkaException, TopicPartition

from cosmo.lag.brokers import Bounds, commits, log_bounds
from cosmo.runtime.deadline import Deadline
from streams.kafka.lag import END


@dataclass(slots=True)
class Answer:
    """As a client gives it for one partition."""

    partition: int
    offset: int = OFFSET_INVALID
    error: KafkaError | None = None
    topic: str = "t"


def test_an_error_is_no_word_about_a_commit() -> None:
    """The broker answers with the offset of "no commit" beside its error."""
    unstable = KafkaError(KafkaError.UNSTABLE_OFFSET_COMMIT)
    found = commits([Answer(0, 7), Answer(1), Answer(2, error=unstable)])
    assert found.offsets == {("t", 0): 7}
    assert found.problems == {("t", 2): f"what was committed is not known: {unstable.str()}"}


class LeaderlessReader:
    """Logs from 3 to 9, of which some have no leader; a client fails whole when one of those asked has none."""

    def __init__(self, *leaderless: int) -> None:
        self._leaderless = set(leaderless)

    def offsets_for_times(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        if any(one.partition in self._leaderless for one in partitions):
            raise KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE))
        return [TopicPartition(one.topic, one.partition, 9 if one.offset == END else 3) for one in partitions]


def test_a_partition_without_a_leader_hides_no_other() -> None:
    found = log_bounds(LeaderlessReader(1), [("t", 0), ("t", 1), ("t", 2)], Deadline.after(5.0))
    assert found.pop(("t", 1)).problem == KafkaError(KafkaError.LEADER_NOT_AVAILABLE).str()
    assert found == {("t", 0): Bounds(start=3, end=9), ("t", 2): Bounds(start=3, end=9)}


def test_what_could_not_be_asked_before_the_deadline_is_said() -> None:
    found = log_bounds(LeaderlessReader(1), [("t", 0), ("t", 1)], Deadline.after(0.0))
    assert {one.problem for one in found.values()} == {"the ends of its log could not be asked in time"}
