"""The whole stream on a real stack of three brokers: parts and workers that may be killed, events that go in."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient

from cosmo.runtime.settings import Settings
from cosmo.stack.furnish import furnish
from cosmo.stack.home import Home
from cosmo.stack.parts import Name
from cosmo.stack.ports import Ports, free_ports
from cosmo.stack.stack import Stack
from schemas.registry import Registry
from streams import topics
from streams.kafka.clients import client_config, group_reader
from streams.kafka.lag import LagOf, LagUnknown
from tests.faults.processes import Crew, Running
from tests.faults.world import Event

BROKERS = 3
PARTITIONS = 4
Delivered = Callable[[KafkaError | None, Message], None]
STAGES = ("ingest", "sample", "infer", "materialize")
_PARTS = frozenset(Name) - {Name.MODEL}
ASK_S = 5.0
MODEL_DELAY_S = 0.05
"""Of one request; so that there are always some at the server when something is killed."""

QUICK = {
    "COSMO_SESSION_TIMEOUT_S": "6",
    "COSMO_REBALANCE_TIMEOUT_S": "10",
    "COSMO_COMMIT_INTERVAL_S": "0.5",
    "COSMO_FETCH_RECORDS": "200",
    "COSMO_LOG_FORMAT": "json",
}
"""Small fetches, so that there are many to be torn; short timeouts, so that partitions move often."""
TOP_K = 1000
"""Room for every intent of an entity, so that none may hide behind the best eight."""


@dataclass(slots=True)
class Stream:
    """Running stack and workers."""

    stack: Stack
    settings: Settings
    crew: Crew
    model: Running
    workers: Mapping[str, Sequence[Running]]
    registry: Registry = field(init=False)
    lags: dict[str, LagOf] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.registry = Registry(self.settings)

    def close(self) -> None:
        """Let the clients go, before their servers do."""
        self.registry.close()
        for lag in self.lags.values():
            asyncio.run(lag.close())
        self.lags.clear()

    def lag(self, process: str) -> int | None:
        """Records that the group of a process has not committed; None while the brokers do not tell."""
        prefix = self.settings.topic_prefix
        if process not in self.lags:
            self.lags[process] = LagOf(lambda: group_reader(self.settings, topics.group(process, prefix)))
        known_lag = self.lags[process]
        try:
            return sum(asyncio.run(known_lag(prefix + topic.name, PARTITIONS)) for topic in topics.CONSUMED[process])
        except LagUnknown:
            return None

    def owned_by_workers(self) -> bool:
        """Whether every partition of every stage has a worker."""
        return all(
            len(frozenset[tuple[str, int]]().union(*(worker.owned for worker in workers)))
            == PARTITIONS * len(topics.CONSUMED[stage])
            for stage, workers in self.workers.items()
        )

    def whole(self) -> bool:
        """Whether every broker is there and has every replica, so that one of them may be killed."""
        if not all(node.pid for node in self.stack.kafka.nodes):
            return False
        try:
            found = AdminClient(client_config(self.settings) | {"log_level": 0}).list_topics(timeout=ASK_S)
        except KafkaException:
            return False
        partitions = [part for topic in found.topics.values() for part in topic.partitions.values()]
        return len(found.brokers) == BROKERS and all(len(part.isrs) == len(part.replicas) for part in partitions)


@contextmanager
def three_brokers(directory: Path) -> Iterator[Stack]:
    """A stack of its own, that may be broken."""
    own = Settings(topic_partitions=PARTITIONS)
    home = Home.at(directory, cache=own.home / "cache")
    with Stack.running(own, home=home, ports=Ports.free(brokers=BROKERS), names=_PARTS) as stack:
        yield stack


@contextmanager
def streaming(stack: Stack, *, prefix: str, stages: Sequence[str] = STAGES, each: int = 2) -> Iterator[Stream]:
    """A stream with ``each`` workers of every stage."""
    model_port, *ports = free_ports(1 + each * len(stages))
    settings = stack.connected(lm_url=f"http://127.0.0.1:{model_port}", features_top_k=TOP_K, topic_prefix=prefix)
    furnish(settings)
    crew, logs = Crew(), stack.home.logs / prefix
    logs.mkdir()
    options = ("--port", str(model_port), "--delay-s", str(MODEL_DELAY_S))
    model = crew.add("model", "-m", "tests.support.scripted_model", *options, env=dict(os.environ), logs=logs)
    workers: dict[str, list[Running]] = {stage: [] for stage in stages}
    for number, port in enumerate(ports):
        stage, turn = stages[number // each], number % each + 1
        env = _environment(stack, settings, port=port, instance=f"{stage}-{turn}" if turn == 1 else "")
        workers[stage].append(crew.add(f"{stage}-{turn}", "-m", "cosmo", "worker", stage, env=env, logs=logs))
    stream = Stream(stack, settings, crew, model, workers)
    crew.start()
    try:
        yield stream
    finally:
        crew.stop()
        stream.close()


def _environment(stack: Stack, settings: Settings, *, port: int, instance: str) -> dict[str, str]:
    """A worker's variables. ``instance``: a static member of its group; otherwise a dynamic one."""
    own = {
        "COSMO_LM_URL": settings.lm_url,
        "COSMO_TOPIC_PREFIX": settings.topic_prefix,
        "COSMO_FEATURES_TOP_K": str(TOP_K),
        "COSMO_WORKER_PORT": str(port),
        "COSMO_GROUP_INSTANCE_ID": instance,
    }
    return dict(os.environ) | stack.env() | QUICK | own


class Feed(threading.Thread):
    """Sends events evenly over a time, and sees to it that the brokers have each of them.

    ``again``: how many earlier events are sent again after each. They are load and change nothing.
    """

    def __init__(self, settings: Settings, events: Sequence[Event], over_s: float, *, again: int = 0) -> None:
        super().__init__(name="feed", daemon=True)
        self._settings = settings
        self._events = events
        self._pause_s = over_s / max(1, len(events))
        self._again = again
        self.failed: list[str] = []
        self.confirmed = 0

    def run(self) -> None:
        durable = {"enable.idempotence": True, "delivery.timeout.ms": 600_000, "linger.ms": 20, "log_level": 0}
        producer = Producer(client_config(self._settings) | durable)
        began_s = time.monotonic()
        for number, event in enumerate(self._events):
            producer.poll(max(0.0, began_s + number * self._pause_s - time.monotonic()))
            self._send(producer, event, self._delivered)
            for earlier in random.Random(number).choices(self._events[: number + 1], k=self._again):
                self._send(producer, earlier, None)
        producer.flush()

    def _send(self, producer: Producer, event: Event, delivered: Delivered | None) -> None:
        name = self._settings.topic_prefix + event.topic
        while True:
            try:
                producer.produce(name, event.value, key=event.key, headers=list(event.headers), on_delivery=delivered)
                return
            except BufferError:  # the brokers are slow, or away
                producer.poll(0.1)

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            self.confirmed += 1
        else:
            self.failed.append(error.str())
