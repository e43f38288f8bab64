"""Creates the topics that a one-machine stack needs; a production cluster declares them itself."""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.cimpl import NewPartitions, NewTopic

from cosmo.runtime.errors import CosmoError
from cosmo.runtime.settings import Settings
from streams import topics
from streams.kafka.clients import admin

ADMIN_TIMEOUT_S = 30.0


def new_topics(settings: Settings) -> list[NewTopic]:
    """Every topic of `streams.topics`, the dead-letter topic of each that a worker reads, and that of their replays."""
    consumed = {topic.name for process in topics.CONSUMED.values() for topic in process}
    made = [_new_topic(settings, topic, topic.name) for topic in (*topics.ALL, topics.REPLAYS)]
    made += [_new_topic(settings, topic, topic.dlq) for topic in topics.ALL if topic.name in consumed]
    return made


def create_topics(settings: Settings) -> list[str]:
    """Create what is missing; returns the names created. An existing topic is left as it is."""
    client = admin(settings)  # held: its futures fail when it is collected
    created = []
    for name, done in client.create_topics(new_topics(settings), operation_timeout=ADMIN_TIMEOUT_S).items():
        try:
            done.result(ADMIN_TIMEOUT_S)
            created.append(name)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise CosmoError(
                    f"Topic {name} cannot be created: {error.args[0].str()}.",
                    advice="May this user create topics, and are there as many brokers as COSMO_TOPIC_REPLICATION?",
                ) from error
    return created


def add_partitions(settings: Settings, topic: str, partitions: int) -> None:
    """Give the topic (its full name) more partitions, so that it has as many. CosmoError when it may not."""
    client = admin(settings)
    try:
        client.create_partitions([NewPartitions(topic, partitions)])[topic].result(ADMIN_TIMEOUT_S)
    except KafkaException as error:
        raise CosmoError(
            f"{topic} cannot be given {partitions} partitions: {error.args[0].str()}.",
            advice="May this user alter topics?",
        ) from error


def _new_topic(settings: Settings, topic: topics.Topic, name: str) -> NewTopic:
    config = {
        "cleanup.policy": topic.cleanup_policy if name == topic.name else "delete",
        "max.message.bytes": str(topic.max_message_bytes if name == topic.name else topic.max_dead_letter_bytes),
        **(topic.config if name == topic.name else {}),
    }
    if topic.retention is not None:
        config["retention.ms"] = str(int(topic.retention.total_seconds() * 1000))
    return NewTopic(
        settings.topic_prefix + name,
        num_partitions=settings.topic_partitions,
        replication_factor=settings.topic_replication,
        config=config,
    )
