"""What is counted is what there is: topics keep the partitions they were made with, whatever the setting says now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from cosmo.demo.outcome_logs import DEAD, RECORDS, OutcomeLogs
from cosmo.demo.stages import written
from cosmo.runtime.errors import CosmoError
from schemas.codec import Codec
from schemas.fixed_registry import FixedRegistry
from schemas.records import Intent
from tests.demo.listed import listed
from tests.features.examples import intent


class Message:
    """A record, or the word that the end of its partition is reached."""

    def __init__(self, at: TopicPartition, key: bytes = b"", value: bytes | None = None) -> None:
        self._at, self._key, self._value = at, key, value

    def topic(self) -> str:
        return self._at.topic

    def partition(self) -> int:
        return self._at.partition

    def key(self) -> bytes:
        return self._key

    def value(self) -> bytes | None:
        return self._value

    def headers(self) -> None:
        return None

    def error(self) -> KafkaError | None:
        return KafkaError(KafkaError._PARTITION_EOF) if self._value is None else None


class Brokers:
    """A consumer of brokers whose topics have ``made`` partitions, with an intent in each of the log of intents.
    ``silent``: how often it is asked in vain; ``ends_late``: partitions whose end is told in a second fetch."""

    def __init__(self, made: int, *, silent: int = 0, ends_late: Sequence[int] = ()) -> None:
        self._made, self._silent, self._ends_late = made, silent, ends_late
        self._fetches: list[list[Message]] = [[], []]

    def list_topics(self, *, timeout: float) -> Any:
        if self._silent:
            self._silent -= 1
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        return listed(dict.fromkeys((*RECORDS, *DEAD, "behavior-pairs", "pair-counts"), self._made))

    def assign(self, partitions: list[TopicPartition]) -> None:
        codec = Codec("intents", Intent, FixedRegistry())
        for at in partitions:
            assert at.partition < self._made
            if at.topic == "intents":
                value = codec.encode(intent(intent_id=f"i{at.partition}"))
                self._fetches[0].append(Message(at, b"i%d/p" % at.partition, value))
            self._fetches[at.partition in self._ends_late].append(Message(at))

    def consume(self, num_messages: int, timeout: float) -> Any:
        return self._fetches.pop(0)

    def offsets_for_times(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        return [TopicPartition(at.topic, at.partition, 10) for at in partitions]


@pytest.mark.parametrize("made", [1, 2, 5])
def test_outcomes_are_those_of_all_partitions_that_there_are(made: int) -> None:
    logs = OutcomeLogs(Brokers(made), FixedRegistry())
    assert not logs.complete
    kept = logs.read(0.0).kept
    assert (logs.complete, kept) == (True, made)


def test_the_logs_are_complete_when_the_end_of_every_partition_was_reached() -> None:
    logs = OutcomeLogs(Brokers(3, ends_late=[2]), FixedRegistry())
    logs.read(0.0)
    assert not logs.complete
    logs.read(0.0)
    assert logs.complete


def test_brokers_that_do_not_tell_their_partitions_are_asked_again_by_the_next_reading() -> None:
    logs = OutcomeLogs(Brokers(2, silent=2), FixedRegistry())
    for _ in range(2):
        with pytest.raises(KafkaException):
            logs.read(0.0)
        assert not logs.complete
    assert logs.read(0.0).kept == 2
    assert logs.complete


@pytest.mark.parametrize("made", [1, 4])
def test_records_written_are_those_of_all_partitions_that_there_are(made: int) -> None:
    ends = written(Brokers(made), "", 1.0)
    assert ends["behavior-pairs"] == ends["intents"] == 10 * made


def test_a_topic_that_is_not_there_is_named() -> None:
    with pytest.raises(CosmoError, match="no topic other-pair-counts"):
        written(Brokers(1), "other-", 1.0)
