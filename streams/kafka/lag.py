"""How far a consumer group is behind on one topic: the figure by which the sampler is throttled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from cosmo.runtime.deadline import Deadline
from cosmo.runtime.errors import CosmoError

TIMEOUT_S = 10.0
END, BEGINNING = -1, -2
"""Instants by which ListOffsets means the ends of a log."""
STALE = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.FENCED_LEADER_EPOCH)
STALE_S, STALE_PAUSE_S = 1.0, 0.1


class LagUnknown(CosmoError):  # noqa: N818 - an outcome, named by what it says
    """The brokers do not tell how far a group is behind. That is not zero, and nobody may act as if it were."""

    retriable = True


async def known_lag(reader: Consumer, topic: str, partitions: int) -> int:
    """Records of ``topic`` that the group of ``reader`` (a `group_reader`) has not committed. Raises LagUnknown.

    A partition without a commit counts from its first record.
    """
    try:
        return await asyncio.to_thread(_total_lag, reader, topic, partitions)
    except KafkaException as error:
        raise LagUnknown(f"The brokers do not tell the lag of {topic}: {error.args[0].str()}.") from error


async def total_lag(reader: Consumer, topic: str, partitions: int) -> int | None:
    """`known_lag`, or None."""
    try:
        return await known_lag(reader, topic, partitions)
    except LagUnknown:
        return None


class LagOf:
    """`known_lag` for as long as a process lives. One call at a time.

    Each failure is the end of the client that met it. Once brokers have been restarted, librdkafka 2.16 now and then
    lets `committed` time out for ever, with every broker there; a new client is told at once.
    """

    def __init__(self, connect: Callable[[], Consumer]) -> None:
        self._connect = connect
        self._reader: Consumer | None = None

    async def __call__(self, topic: str, partitions: int) -> int:
        if self._reader is None:
            self._reader = self._connect()
        try:
            return await known_lag(self._reader, topic, partitions)
        except LagUnknown:
            await self.close()
            raise

    async def close(self) -> None:
        """Let the client go; the next call has another."""
        reader, self._reader = self._reader, None
        if reader is not None:
            await asyncio.to_thread(reader.close)


class OffsetReader(Protocol):
    """The part of a consumer that is needed; see `streams.kafka.clients.log_reader`.

    Not the admin client: once a broker has been restarted, librdkafka 2.16 answers its list_offsets with
    FENCED_LEADER_EPOCH for five minutes, and now and then with a memory that is corrupt.
    """

    def offsets_for_times(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]: ...


def end_offsets(
    reader: OffsetReader, wanted: Iterable[tuple[str, int]], timeout_s: float = TIMEOUT_S
) -> dict[tuple[str, int], int]:
    """Log end offset of each partition. Blocks; raises KafkaException when the brokers do not answer. Who asks a
    broker that leads no more, or not yet, learns of it by the answer, and asks again for a second."""
    return _offsets(reader, wanted, END, timeout_s)


def start_offsets(
    reader: OffsetReader, wanted: Iterable[tuple[str, int]], timeout_s: float = TIMEOUT_S
) -> dict[tuple[str, int], int]:
    """Offset of the first record that each partition still holds; as `end_offsets`."""
    return _offsets(reader, wanted, BEGINNING, timeout_s)


def _total_lag(reader: Consumer, topic: str, partitions: int) -> int:
    wanted = [(topic, number) for number in range(partitions)]
    committed = reader.committed([TopicPartition(*one) for one in wanted], timeout=TIMEOUT_S)
    starts, ends = start_offsets(reader, wanted), end_offsets(reader, wanted)
    lag = 0
    for found in committed:
        if found.error is not None:
            raise KafkaException(found.error)
        at = found.topic, found.partition
        lag += max(0, ends[at] - max(starts[at], found.offset))
    return lag


def _offsets(
    reader: OffsetReader, wanted: Iterable[tuple[str, int]], instant: int, timeout_s: float
) -> dict[tuple[str, int], int]:
    asked = [TopicPartition(topic, partition, instant) for topic, partition in wanted]
    deadline = Deadline.after(min(timeout_s, STALE_S))
    while True:
        try:
            return _told(reader, asked, timeout_s)
        except KafkaException as error:
            if error.args[0].code() not in STALE or deadline.expired:
                raise
        time.sleep(STALE_PAUSE_S)


def _told(reader: OffsetReader, asked: list[TopicPartition], timeout_s: float) -> dict[tuple[str, int], int]:
    found = reader.offsets_for_times(asked, timeout=timeout_s) if asked else []
    for one in found:
        if one.error is not None:
            raise KafkaException(one.error)
    return {(one.topic, one.partition): one.offset for one in found}
