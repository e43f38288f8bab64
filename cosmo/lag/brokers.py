"""The admin calls behind a snapshot, many at once, each translated into plain data."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # it is public in the docs

from cosmo.runtime.deadline import Deadline

Partition = tuple[str, int]

GROUPS_AT_ONCE = 8
"""Consumers that ask at the same time; each has a few threads and connections of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """A group's state and who owns which partition (``client_id@host``)."""

    state: str
    count: int = 0
    owners: dict[Partition, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The offsets a partition holds; None and a problem where its leader did not say."""

    start: int | None = None
    end: int | None = None
    problem: str = ""


DEAD = Members(state="DEAD")
"""Brokers say so, or that they do not find it, of a group that never was or has been forgotten."""


def group_names(admin: AdminClient, deadline: Deadline) -> list[str]:
    """Every consumer group that the brokers know."""
    listed = admin.list_consumer_groups(request_timeout=deadline.remaining_s).result()
    return [group.group_id for group in listed.valid]


def partitions(admin: AdminClient, deadline: Deadline) -> dict[str, tuple[int, ...]]:
    """The partitions of every topic."""
    topics = admin.list_topics(timeout=deadline.remaining_s).topics
    return {name: tuple(sorted(topic.partitions)) for name, topic in topics.items()}


def describe(admin: AdminClient, names: Sequence[str], deadline: Deadline) -> dict[str, Members]:
    """State and members of each group; `DEAD` for one that no broker knows."""
    if not names:
        return {}
    asked = admin.describe_consumer_groups(list(names), request_timeout=deadline.remaining_s)
    return {name: _members(answer) for name, answer in asked.items()}


def committed(
    config: Mapping[str, Any], names: Collection[str], wanted: Collection[Partition], deadline: Deadline
) -> dict[str, dict[Partition, int]]:
    """The offsets that each group has committed; a partition without a commit is not in it.

    Asked by a consumer for each group, which never joins it: while a coordinator moves or loads, librdkafka 2.16
    answers the admin client's list_consumer_group_offsets with a segmentation fault.
    """
    if not wanted:
        return {name: {} for name in names}
    with ThreadPoolExecutor(max_workers=GROUPS_AT_ONCE) as pool:
        found = pool.map(lambda name: _committed(config, name, wanted, deadline), names)
        return dict(zip(names, found, strict=True))


def _committed(
    config: Mapping[str, Any], name: str, wanted: Collection[Partition], deadline: Deadline
) -> dict[Partition, int]:
    reader = Consumer({**config, "group.id": name, "enable.auto.commit": False})
    try:
        found = reader.committed([TopicPartition(*partition) for partition in wanted], timeout=deadline.remaining_s)
    finally:
        reader.close()
    return {(one.topic, one.partition): one.offset for one in found if one.offset >= 0 and one.error is None}


def log_bounds(admin: AdminClient, wanted: Collection[Partition], deadline: Deadline) -> dict[Partition, Bounds]:
    """Log start and log end offset of each partition."""
    if not wanted:
        return {}
    asked = [TopicPartition(*partition) for partition in wanted]
    ends = _list_offsets(admin, asked, OffsetSpec.latest(), deadline)  # type: ignore[no-untyped-call]
    starts = _list_offsets(admin, asked, OffsetSpec.earliest(), deadline)  # type: ignore[no-untyped-call]
    return {partition: _bounds(starts[partition], ends[partition]) for partition in wanted}


def _members(answer: Future[Any]) -> Members:
    try:
        group = answer.result()
    except KafkaException as error:
        if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
            return DEAD
        raise
    owners = {
        (partition.topic, partition.partition): f"{member.client_id}@{member.host.removeprefix('/')}"
        for member in group.members
        for partition in member.assignment.topic_partitions
    }
    return Members(state=group.state.name, count=len(group.members), owners=owners)


def _list_offsets(
    admin: AdminClient, asked: list[TopicPartition], spec: OffsetSpec, deadline: Deadline
) -> dict[Partition, Future[Any]]:
    answers = admin.list_offsets(dict.fromkeys(asked, spec), request_timeout=deadline.remaining_s)
    return {(one.topic, one.partition): answer for one, answer in answers.items()}


def _bounds(start: Future[Any], end: Future[Any]) -> Bounds:
    try:
        return Bounds(start=start.result().offset, end=end.result().offset)
    except KafkaException as error:
        return Bounds(problem=error.args[0].str())
