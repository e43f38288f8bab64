"""Figures of the four stages, from the offsets of their groups and of the topics they write."""

from __future__ import annotations

from collections.abc import Mapping

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from cosmo.demo.reading import Stage
from cosmo.lag.model import GroupLag
from cosmo.runtime.settings import Settings
from streams import topics
from streams.kafka.lag import end_offsets

WRITES: Mapping[str, topics.Topic] = {
    "ingest": topics.PAIR_COUNTS,
    "sample": topics.BEHAVIOR_PAIRS,
    "infer": topics.INTENTS,
}
"""What each stage gives; materialize gives entities, which are counted in the store."""


def written(admin: AdminClient, settings: Settings) -> dict[str, int]:
    """Records ever written to each topic that a stage writes to, dead letters included; by name without prefix.
    Raises KafkaException."""
    names = [*(topic.name for topic in WRITES.values()), topics.REJECTED_INTENTS.name]
    names += [topic.dlq for consumed in topics.CONSUMED.values() for topic in consumed]
    wanted = [
        TopicPartition(settings.topic_prefix + name, partition)
        for name in names
        for partition in range(settings.topic_partitions)
    ]
    totals = dict.fromkeys(names, 0)
    for (topic, _), end in end_offsets(admin, wanted).items():
        totals[topic.removeprefix(settings.topic_prefix)] += end
    return totals


def stages(groups: Mapping[str, GroupLag], ends: Mapping[str, int], entities: int | None, prefix: str) -> list[Stage]:
    """The four, in the order of the flow. ``groups`` by name."""
    return [_stage(process, groups.get(topics.group(process, prefix)), ends, entities) for process in topics.CONSUMED]


def _stage(process: str, group: GroupLag | None, ends: Mapping[str, int], entities: int | None) -> Stage:
    dead = sum(ends.get(topic.dlq, 0) for topic in topics.CONSUMED[process])
    rejected = ends.get(topics.REJECTED_INTENTS.name, 0) if process == "infer" else 0
    return Stage(
        name=process,
        taken=None if group is None else _committed(group),
        given=ends.get(WRITES[process].name) if process in WRITES else entities,
        refused=dead + rejected if ends else None,
        lag=None if group is None else _waiting(group),
        lag_s=None if group is None else group.seconds,
    )


def _committed(group: GroupLag) -> int:
    return sum(partition.committed_offset or 0 for partition in group.partitions)


def _waiting(group: GroupLag) -> int | None:
    """Unlike `cosmo lag`, a partition without a commit counts whole: our groups begin at the beginning."""
    total = 0
    for partition in group.partitions:
        if partition.log_end_offset is None:
            return None
        total += max(
            0, partition.log_end_offset - max(partition.committed_offset or 0, partition.log_start_offset or 0)
        )
    return total
