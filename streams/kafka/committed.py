"""What a consumer group has committed, asked by a consumer that never joins.

The admin client has a call for it, and that call ends the whole process (SIGSEGV) when the broker it asks has just
ceased to be the group's coordinator, or has not begun to be: librdkafka follows a pointer to a consumer group that an
admin client does not have (librdkafka #5040, seen with 2.16). A consumer has one.
"""

from __future__ import annotations

from confluent_kafka import Consumer, KafkaException, TopicPartition

from cosmo.runtime.settings import Settings
from streams.kafka.clients import client_config

Partition = tuple[str, int]


def committed_offsets(
    settings: Settings, group: str, wanted: list[TopicPartition], *, timeout_s: float
) -> dict[Partition, int]:
    """The offset that ``group`` reads next, by partition; one without a commit is not in it.

    Blocks. Raises KafkaException when the brokers do not tell.
    """
    consumer = Consumer(client_config(settings) | {"group.id": group, "enable.auto.commit": False})
    try:
        found = consumer.committed(wanted, timeout=timeout_s)
    finally:
        consumer.close()
    for partition in found:
        if partition.error is not None:
            raise KafkaException(partition.error)
    return {(one.topic, one.partition): one.offset for one in found if one.offset >= 0}
