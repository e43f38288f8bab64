"""How far a consumer group is behind on one topic: the figure by which the sampler is throttled."""

from __future__ import annotations

import asyncio

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # it is public in the docs

TIMEOUT_S = 10.0


async def total_lag(reader: Consumer, topic: str, partitions: int) -> int | None:
    """Records of ``topic`` that the group of ``reader`` (a `group_reader`) has not committed; None when the brokers do
    not tell.

    A partition without a commit counts from its first record.
    """
    try:
        return await asyncio.to_thread(_total_lag, reader, topic, partitions)
    except KafkaException:
        return None


def end_offsets(admin: AdminClient, wanted: list[TopicPartition]) -> dict[tuple[str, int], int]:
    """Log end offset of each partition. Blocks; raises KafkaException when the brokers do not answer."""
    return _offsets(admin, wanted, OffsetSpec.latest())  # type: ignore[no-untyped-call]


def start_offsets(admin: AdminClient, wanted: list[TopicPartition]) -> dict[tuple[str, int], int]:
    """Offset of the first record that each partition still holds."""
    return _offsets(admin, wanted, OffsetSpec.earliest())  # type: ignore[no-untyped-call]


def _total_lag(reader: Consumer, topic: str, partitions: int) -> int:
    wanted = [TopicPartition(topic, number) for number in range(partitions)]
    lag = 0
    for found in reader.committed(wanted, timeout=TIMEOUT_S):
        if found.error is not None:
            raise KafkaException(found.error)
        start, end = reader.get_watermark_offsets(found, timeout=TIMEOUT_S)
        lag += max(0, end - max(start, found.offset))
    return lag


def _offsets(admin: AdminClient, wanted: list[TopicPartition], spec: OffsetSpec) -> dict[tuple[str, int], int]:
    """Each answer or its KafkaException comes within the request's own timeout; a second clock would only race it."""
    found = admin.list_offsets(dict.fromkeys(wanted, spec), request_timeout=TIMEOUT_S)
    return {(tp.topic, tp.partition): future.result().offset for tp, future in found.items()}
