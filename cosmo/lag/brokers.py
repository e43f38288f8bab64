"""The admin calls behind a snapshot, many at once, each translated into plain data."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from cosmo.runtime.deadline import Deadline
from streams.kafka.lag import OffsetReader, end_offsets, start_offsets

Partition = tuple[str, int]

ONE_S = 1.0
"""For a partition that is asked by itself; its leader answers in milliseconds or is away."""
GROUPS_AT_ONCE = 8
"""Consumers that ask at the same time; each has a few threads and connections of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """A group's state and who owns which partition (``client_id@host``). ``problem``: why neither is known."""

    state: str
    count: int = 0
    owners: Mapping[Partition, str] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """The numbers of a topic's partitions; none and a problem where the brokers know of it and do not tell more."""

    partitions: tuple[int, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commits:
    """What a group has committed. A partition that is in neither has no commit; of one in ``problems`` nobody said."""

    offsets: Mapping[Partition, int]
    problems: Mapping[Partition, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The offsets a partition holds; None and a problem where its leader did not say."""

    start: int | None = None
    end: int | None = None
    problem: str = ""


DEAD = Members(state="DEAD")
"""Brokers say so, or that they do not find it, of a group that never was or has been forgotten."""

UNKNOWN = "UNKNOWN"
"""The state of a group whose coordinator does not answer, in Kafka's words as well."""


class CommitAnswer(Protocol):
    """What a client says of a group's commit on one partition; ``offset`` is negative where there is none."""

    topic: str
    partition: int
    offset: int
    error: KafkaError | None


def group_names(admin: AdminClient, deadline: Deadline) -> list[str]:
    """Every consumer group that the brokers know."""
    listed = admin.list_consumer_groups(request_timeout=deadline.remaining_s).result()
    return [group.group_id for group in listed.valid]


def topics(admin: AdminClient, deadline: Deadline) -> dict[str, Topic]:
    """Every topic that we may see."""
    listed = admin.list_topics(timeout=deadline.remaining_s).topics
    return {
        name: Topic(partitions=tuple(sorted(topic.partitions)), problem=topic.error.str() if topic.error else "")
        for name, topic in listed.items()
    }


def describe(admin: AdminClient, names: Sequence[str], deadline: Deadline) -> dict[str, Members]:
    """State and members of each group; `DEAD` for one that no broker knows, `UNKNOWN` where none told."""
    if not names:
        return {}
    asked = admin.describe_consumer_groups(list(names), request_timeout=deadline.remaining_s)
    return {name: _members(answer) for name, answer in asked.items()}


def committed(
    config: Mapping[str, Any], names: Collection[str], wanted: Collection[Partition], deadline: Deadline
) -> dict[str, Commits]:
    """What each group has committed. A group whose coordinator does not answer hides no other: it has a problem on
    every partition.

    Asked by a consumer for each group, which never joins it: while a coordinator moves or loads, librdkafka 2.16
    answers the admin client's list_consumer_group_offsets with a segmentation fault.
    """
    if not wanted:
        return {name: Commits(offsets={}) for name in names}
    with ThreadPoolExecutor(max_workers=GROUPS_AT_ONCE) as pool:
        found = pool.map(lambda name: _committed(config, name, wanted, deadline), names)
        return dict(zip(names, found, strict=True))


def _committed(config: Mapping[str, Any], name: str, wanted: Collection[Partition], deadline: Deadline) -> Commits:
    reader = Consumer({**config, "group.id": name, "enable.auto.commit": False})
    try:
        return commits(reader.committed([TopicPartition(*one) for one in wanted], timeout=deadline.remaining_s))
    except KafkaException as error:
        return Commits(offsets={}, problems=dict.fromkeys(wanted, _untold(error.args[0])))
    finally:
        reader.close()


def commits(answers: Iterable[CommitAnswer]) -> Commits:
    """The answers as they are meant: an error says nothing about whether there is a commit."""
    offsets: dict[Partition, int] = {}
    problems: dict[Partition, str] = {}
    for one in answers:
        if one.error is not None:
            problems[one.topic, one.partition] = _untold(one.error)
        elif one.offset >= 0:
            offsets[one.topic, one.partition] = one.offset
    return Commits(offsets=offsets, problems=problems)


def _untold(error: KafkaError) -> str:
    return f"what was committed is not known: {error.str()}"


def log_bounds(reader: OffsetReader, wanted: Collection[Partition], deadline: Deadline) -> dict[Partition, Bounds]:
    """Log start and log end offset of each partition. Asked of all at once; where that fails, which one partition
    without a leader is enough for, of each by itself."""
    try:
        return _log_bounds(reader, wanted, deadline.remaining_s)
    except KafkaException:
        found: dict[Partition, Bounds] = {}
        for partition in wanted:
            found |= _bounds_of(reader, partition, deadline)
        return found


def _bounds_of(reader: OffsetReader, partition: Partition, deadline: Deadline) -> dict[Partition, Bounds]:
    if deadline.expired:
        return {partition: Bounds(problem="the ends of its log could not be asked in time")}
    try:
        return _log_bounds(reader, [partition], min(ONE_S, deadline.remaining_s))
    except KafkaException as error:
        return {partition: Bounds(problem=error.args[0].str())}


def _log_bounds(reader: OffsetReader, wanted: Collection[Partition], timeout_s: float) -> dict[Partition, Bounds]:
    ends, starts = end_offsets(reader, wanted, timeout_s), start_offsets(reader, wanted, timeout_s)
    return {partition: Bounds(start=starts[partition], end=ends[partition]) for partition in wanted}


def _members(answer: Future[Any]) -> Members:
    try:
        group = answer.result()
    except KafkaException as error:
        if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
            return DEAD
        return Members(state=UNKNOWN, problem=f"its members are not known: {error.args[0].str()}")
    owners = {
        (partition.topic, partition.partition): f"{member.client_id}@{member.host.removeprefix('/')}"
        for member in group.members
        for partition in member.assignment.topic_partitions
    }
    return Members(state=group.state.name, count=len(group.members), owners=owners)
