"""Figures of the four stages, from the offsets of their groups and of the topics they write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from cosmo.demo.partitions import Listing, partitions_of
from cosmo.demo.reading import Stage
from cosmo.lag.model import GroupLag, Standing
from cosmo.runtime.deadline import Deadline
from streams import topics
from streams.kafka.lag import OffsetReader, end_offsets

WRITES: Mapping[str, topics.Topic] = {
    "ingest": topics.PAIR_COUNTS,
    "sample": topics.BEHAVIOR_PAIRS,
    "infer": topics.INTENTS,
}
"""What each stage gives; materialize gives entities, which are counted in the store."""


class Reader(Listing, OffsetReader, Protocol):
    """Tells partitions and their ends."""


def written(reader: Reader, prefix: str, timeout_s: float) -> dict[str, int]:
    """Records ever written to each topic that a stage writes to, dead letters included; by name without prefix.
    Raises KafkaException, and CosmoError when a topic is not there."""
    deadline = Deadline.after(timeout_s)
    names = [*(topic.name for topic in WRITES.values()), topics.REJECTED_INTENTS.name]
    names += [topic.dlq for consumed in topics.CONSUMED.values() for topic in consumed]
    wanted = partitions_of(reader, [prefix + name for name in names], deadline.remaining_s)
    totals = dict.fromkeys(names, 0)
    for (topic, _), end in end_offsets(reader, wanted, deadline.remaining_s).items():
        totals[topic.removeprefix(prefix)] += end
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
        lag=None if group is None else group.records,
        lag_s=None if group is None else group.seconds,
    )


def _committed(group: GroupLag) -> int | None:
    """Unknown as soon as one partition's is; none where nothing was committed yet."""
    if any(one.committed_offset is None and one.standing is Standing.UNREADABLE for one in group.partitions):
        return None
    return sum(partition.committed_offset or 0 for partition in group.partitions)
