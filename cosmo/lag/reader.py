"""Asks the brokers for everything that lag needs. DESCRIBE on groups and READ on topics are rights enough."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from confluent_kafka import Consumer, KafkaException
from confluent_kafka.admin import AdminClient

from cosmo.lag import brokers
from cosmo.lag.groups import counted_topics, matching, our_groups
from cosmo.lag.model import GroupReading, PartitionReading, Snapshot
from cosmo.lag.oldest import Position, oldest_records
from cosmo.runtime.deadline import Deadline
from cosmo.runtime.errors import CosmoError
from cosmo.runtime.settings import Settings
from streams.kafka.clients import QUIET, client_config

SMALL_FETCHES = {"fetch.message.max.bytes": 1024, "queued.min.messages": 1, "queued.max.messages.kbytes": 1024}
"""One record per partition is wanted, so a fetch brings one batch and no more."""


class LagReader:
    """Holds the connections, so that a live view can ask every second. Blocks; use it as a context manager."""

    def __init__(self, settings: Settings, *, timeout_s: float = 10.0) -> None:
        self._settings = settings
        self._timeout_s = timeout_s
        self._ours = our_groups(settings.topic_prefix)

    def __enter__(self) -> Self:
        config = client_config(self._settings) | QUIET
        self._admin = AdminClient(config)
        self._log = _log(config, "read_committed")
        self._whole_log = _log(config, "read_uncommitted")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._log.close()
        self._whole_log.close()

    def read(self, groups: Collection[str] = (), *, everyone: bool = False) -> Snapshot:
        """A snapshot of our groups, of those named (patterns allowed), or of everyone's.

        Raises CosmoError when no broker answers in time. A group or partition that cannot be read is reported as such,
        and hinders no other.
        """
        try:
            return self._read(groups, everyone=everyone, deadline=Deadline.after(self._timeout_s))
        except KafkaException as error:
            reason = error.args[0].str() if error.args else str(error)
            raise CosmoError(
                f"Kafka at {self._settings.kafka_bootstrap_servers} does not answer: {reason}.",
                advice="Start it with `cosmo stack up`, or set KAFKA_BOOTSTRAP_SERVERS.",
            ) from error

    def _read(self, groups: Collection[str], *, everyone: bool, deadline: Deadline) -> Snapshot:
        names = self._names(groups, everyone, deadline)
        # Commits before ends: the other way round a group that moves between the two seems to be beyond the end.
        readings = self._commits(names, deadline)
        readings = self._bounds(readings, deadline)
        readings = self._oldest(readings, deadline)
        return Snapshot(taken_at=datetime.now(UTC), groups=tuple(readings))

    def _names(self, groups: Collection[str], everyone: bool, deadline: Deadline) -> list[str]:
        if not groups and not everyone:
            return list(self._ours)
        known = {*brokers.group_names(self._admin, deadline), *self._ours}
        return matching(groups or ["*"], known)

    def _commits(self, names: Sequence[str], deadline: Deadline) -> list[GroupReading]:
        topics = brokers.topics(self._admin, deadline)
        described = brokers.describe(self._admin, names, deadline)
        every = [(name, number) for name, topic in topics.items() for number in topic.partitions]
        some = Deadline.after(deadline.remaining_s / 2)  # a coordinator that is away leaves time for the others' logs
        committed = brokers.committed(client_config(self._settings) | QUIET, names, every, some)
        return [self._group(name, described[name], committed[name], topics) for name in names]

    def _group(
        self,
        name: str,
        members: brokers.Members,
        commits: brokers.Commits,
        topics: dict[str, brokers.Topic],
    ) -> GroupReading:
        counted = counted_topics(
            expected=self._ours.get(name, ()),
            assigned={topic for topic, _ in members.owners},
            committed={topic for topic, _ in commits.offsets},
        )
        return GroupReading(
            group=name,
            state=members.state,
            members=members.count,
            partitions=tuple(
                _unread(topic, number, members, commits, topics.get(topic), ours=name in self._ours)
                for topic in counted
                for number in (topics[topic].partitions if topic in topics else ()) or (0,)
            ),
            problem=members.problem or _nothing_known(counted, commits),
        )

    def _bounds(self, groups: list[GroupReading], deadline: Deadline) -> list[GroupReading]:
        wanted = {(p.topic, p.partition) for group in groups for p in group.partitions if _has_log(p)}
        bounds = brokers.log_bounds(self._whole_log, wanted, deadline)
        # Ends before stable ends: the other way round what is written meanwhile seems to be held back.
        told = [at for at, found in bounds.items() if not found.problem]
        stable = brokers.log_bounds(self._log, told, deadline)
        return [
            replace(group, partitions=tuple(_bounded(p, bounds, stable) for p in group.partitions)) for group in groups
        ]

    def _oldest(self, groups: list[GroupReading], deadline: Deadline) -> list[GroupReading]:
        """What was aborted is not there; of what may not be read yet, the first."""
        readings = [p for group in groups for p in group.partitions]
        positions = {at for p in readings if (at := _next_position(p)) is not None}
        found = oldest_records(self._log, positions, deadline)
        hidden = {at for p in readings if p.held_back and (at := _next_position(p)) and found[at] == "nothing"}
        found |= oldest_records(self._whole_log, hidden, deadline)

        def seen(reading: PartitionReading) -> PartitionReading:
            at = _next_position(reading)
            if at is None:
                return reading
            problem = "its oldest record could not be read in time" if found[at] == "unread" else reading.problem
            return replace(reading, oldest=found[at], problem=problem)

        return [replace(group, partitions=tuple(seen(p) for p in group.partitions)) for group in groups]


def _log(config: Mapping[str, Any], isolation: str) -> Consumer:
    return Consumer(
        {
            **config,
            **SMALL_FETCHES,
            "group.id": "unused",  # librdkafka asks for one; without subscribe or commit no group comes to be
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "isolation.level": isolation,
        }
    )


def _unread(
    topic: str,
    number: int,
    members: brokers.Members,
    commits: brokers.Commits,
    known: brokers.Topic | None,
    *,
    ours: bool,
) -> PartitionReading:
    """A partition before its log was looked at."""
    at = topic, number
    untold = commits.problems.get(at, "")
    return PartitionReading(
        topic=topic,
        partition=number,
        committed_offset=commits.offsets.get(at),
        commit_known=not untold,
        log_start_offset=None,
        log_end_offset=None,
        owner=members.owners.get(at, ""),
        problem=(known.problem if known else "") or untold,
        exists=known is not None,
        from_beginning=ours,
    )


def _nothing_known(counted: Collection[str], commits: brokers.Commits) -> str:
    """Why a group without any topic has none: not because there are none, if nobody told its commits."""
    return "" if counted else next(iter(commits.problems.values()), "")


def _has_log(reading: PartitionReading) -> bool:
    return reading.exists and (not reading.problem or not reading.commit_known)


def _bounded(
    reading: PartitionReading,
    bounds: Mapping[brokers.Partition, brokers.Bounds],
    stable: Mapping[brokers.Partition, brokers.Bounds],
) -> PartitionReading:
    if not _has_log(reading):
        return reading
    at = reading.topic, reading.partition
    found = bounds[at]
    behind = stable.get(at, brokers.Bounds())
    return replace(
        reading,
        log_start_offset=found.start,
        log_end_offset=found.end,
        stable_offset=behind.end,
        problem=found.problem or behind.problem or reading.problem,
    )


def _next_position(reading: PartitionReading) -> Position | None:
    """Where to look for the oldest record not committed; None where there is nothing to look for."""
    end, position = reading.log_end_offset, reading.position
    if end is None or position is None or position >= end:
        return None
    return reading.topic, reading.partition, position
