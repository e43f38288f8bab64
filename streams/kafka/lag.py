"""How far a consumer group is behind on one topic: the figure by which the sampler is throttled."""

from __future__ import annotations

import asyncio

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # it is public in the docs

TIMEOUT_S = 10.0


async def total_lag(admin: AdminClient, group: str, topic: str, partitions: int) -> int | None:
    """Records of ``topic`` that ``group`` has not committed; None when the brokers do not tell.

    A partition without a commit counts from its first record.
    """
    try:
        return await asyncio.to_thread(_total_lag, admin, group, topic, partitions)
    except KafkaException:
        return None


def end_offsets(admin: AdminClient, wanted: list[TopicPartition]) -> dict[tuple[str, int], int]:
    """Log end offset of each partition. Blocks; raises KafkaException when the brokers do not answer."""
    return _offsets(admin, wanted, OffsetSpec.latest())  # type: ignore[no-untyped-call]


def start_offsets(admin: AdminClient, wanted: list[TopicPartition]) -> dict[tuple[str, int], int]:
    """Offset of the first record that each partition still holds."""
    return _offsets(admin, wanted, OffsetSpec.earliest())  # type: ignore[no-untyped-call]


def _total_lag(admin: AdminClient, group: str, topic: str, partitions: int) -> int:
    wanted = [TopicPartition(topic, number) for number in range(partitions)]
    asked = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group, wanted)], request_timeout=TIMEOUT_S)
    committed = {(tp.topic, tp.partition): tp.offset for tp in asked[group].result(TIMEOUT_S).topic_partitions}
    ends, starts = end_offsets(admin, wanted), start_offsets(admin, wanted)
    return sum(max(0, end - max(starts[key], committed.get(key, -1))) for key, end in ends.items())


def _offsets(admin: AdminClient, wanted: list[TopicPartition], spec: OffsetSpec) -> dict[tuple[str, int], int]:
    found = admin.list_offsets(dict.fromkeys(wanted, spec), request_timeout=TIMEOUT_S)
    return {(tp.topic, tp.partition): future.result(TIMEOUT_S).offset for tp, future in found.items()}
