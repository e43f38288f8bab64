"""The lag that the sampler is throttled by: unknown is said, and never for longer than the brokers are away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from streams.kafka.lag import END, LagOf, LagUnknown, end_offsets


@dataclass(slots=True)
class GroupAtThree:
    """A client of a group that has committed 3 of 10 records, or one that has lost its coordinator for good."""

    lost: bool = False
    closed: bool = False

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        if self.lost:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return [TopicPartition(one.topic, one.partition, 3) for one in partitions]

    def offsets_for_times(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        return [TopicPartition(one.topic, one.partition, 10 if one.offset == END else 0) for one in partitions]

    def close(self) -> None:
        self.closed = True


async def test_a_client_that_is_not_told_the_lag_is_asked_once() -> None:
    """With one client for ever, the sampler of a stream that was whole again released nothing any more."""
    clients = [GroupAtThree(), GroupAtThree()]
    unused: Iterator[Any] = iter(clients)
    lag_of = LagOf(lambda: next(unused))
    assert await lag_of("behavior-pairs", 2) == 14
    assert await lag_of("behavior-pairs", 1) == 7
    clients[0].lost = True
    with pytest.raises(LagUnknown):
        await lag_of("behavior-pairs", 2)
    assert await lag_of("behavior-pairs", 2) == 14
    assert [client.closed for client in clients] == [True, False]


@dataclass(slots=True)
class Moved(GroupAtThree):
    """A client that asks a broker which leads no more, until it has been told so a number of times."""

    times: int = 0
    code: int = KafkaError.NOT_LEADER_FOR_PARTITION

    def offsets_for_times(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        if self.times:
            self.times -= 1
            raise KafkaException(KafkaError(self.code))
        return GroupAtThree.offsets_for_times(self, partitions, timeout)


def test_whoever_is_told_of_a_new_leader_asks_again() -> None:
    assert end_offsets(Moved(times=2), [("t", 0)]) == {("t", 0): 10}
    with pytest.raises(KafkaException):
        end_offsets(Moved(times=1_000_000), [("t", 0)], timeout_s=0.3)
    with pytest.raises(KafkaException):
        end_offsets(Moved(times=1, code=KafkaError._TRANSPORT), [("t", 0)])
