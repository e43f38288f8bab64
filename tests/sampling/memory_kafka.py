"""A Kafka in memory, as far as `cosmo topics repartition` needs one, whose client can be killed after any effect."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from streams.kafka.producer import Headers
from streams.kafka.reading import LogRecord, as_record


class KilledError(Exception):
    """What the process would have done next, it does not: neither this nor anything after it."""


@dataclass(frozen=True)
class MemoryMessage:
    """The parts of confluent_kafka's Message that readers use."""

    at: int
    of_key: bytes | None
    of_value: bytes | None

    def offset(self) -> int:
        return self.at

    def key(self) -> bytes | None:
        return self.of_key

    def value(self) -> bytes | None:
        return self.of_value

    def headers(self) -> None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return (1, 0)


@dataclass
class MemoryKafka:
    """The brokers, and a client of each kind. ``effects_left`` counts what the clients may still do to the brokers."""

    logs: dict[str, list[list[MemoryMessage]]] = field(default_factory=dict)
    commits: dict[tuple[str, int], int] = field(default_factory=dict)
    effects_left: int = 10**9

    def create(self, topic: str, partitions: int) -> None:
        self.logs[topic] = [[] for _ in range(partitions)]

    def append(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> None:
        log = self.logs[topic][partition]
        log.append(MemoryMessage(len(log), key, value))

    def _effect(self) -> None:
        if self.effects_left == 0:
            raise KilledError
        self.effects_left -= 1

    def partitions(self, topic: str) -> int:
        return len(self.logs[topic])

    async def send(self, topic: str, value: bytes | None, **more: Any) -> None:
        await (await self.enqueue(topic, value, **more))

    async def enqueue(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int | None = None,
    ) -> asyncio.Future[None]:
        self._effect()
        self.append(topic, partition or 0, key, value)
        confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        confirmed.set_result(None)
        return confirmed

    def add_partitions(self, _settings: object, topic: str, partitions: int) -> None:
        self._effect()
        self.logs[topic] += [[] for _ in range(partitions - len(self.logs[topic]))]

    def messages_to_end(
        self, _settings: object, topic: str, partition: int, *, first_offset: int = 0
    ) -> Iterator[MemoryMessage]:
        yield from self.logs[topic][partition][max(0, first_offset) :]

    def read_to_end(self, _settings: object, topic: str, partition: int) -> Iterator[LogRecord]:
        messages: Any = self.logs[topic][partition]
        yield from map(as_record, messages)

    def admin(self, _settings: object) -> MemoryKafka:
        return self

    def describe_consumer_groups(self, names: list[str], **_: object) -> dict[str, Future[MemoryKafka]]:
        """Nobody is in the group."""
        described: defaultdict[str, Future[MemoryKafka]] = defaultdict(Future)
        for name in names:
            described[name].set_result(self)
        return described

    members: tuple[str, ...] = ()

    def group_reader(self, _settings: object, _group: str) -> MemoryKafka:
        return self

    def committed(self, wanted: list[TopicPartition], **_: object) -> list[TopicPartition]:
        return [
            TopicPartition(tp.topic, tp.partition, self.commits.get((tp.topic, tp.partition), -1001)) for tp in wanted
        ]

    def commit(self, *, offsets: list[TopicPartition], **_: object) -> None:
        self._effect()
        self.commits |= {(tp.topic, tp.partition): tp.offset for tp in offsets}

    def close(self) -> None:
        pass

    def installed(self, patch: pytest.MonkeyPatch) -> None:
        """In place of the real clients of `streams.sampling.repartition`."""
        for name in ("add_partitions", "messages_to_end", "group_reader", "admin"):
            patch.setattr(f"streams.sampling.repartition.{name}", getattr(self, name))
        patch.setattr("streams.state.kafka.read_to_end", self.read_to_end)
