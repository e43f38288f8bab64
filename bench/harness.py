"""What the bench programs share: a real stack of their own, child processes measured alike, paired repeats, results.

A program measures its candidates one after another, several times over (`paired`), prints each run as a JSON line,
and ends with one `Section`, which `bench.report` turns into a part of docs/benchmarks.md.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from confluent_kafka import KafkaError, KafkaException, Producer

from cosmo.runtime.settings import Settings
from cosmo.stack.home import Home
from cosmo.stack.parts import Name
from cosmo.stack.ports import Ports
from cosmo.stack.stack import Stack
from schemas import avsc
from schemas.registry import Registry
from streams.kafka.admin import create_topics
from streams.kafka.clients import client_config

TICK_S = 0.01
"""The kernel counts CPU time in steps of this."""
CHILD_S = 120.0
"""No measured process takes longer; one that does hangs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One measurement: so many things in so many seconds, and the CPU seconds of the process that did them."""

    name: str
    count: int
    seconds: float
    cpu_s: float

    @property
    def per_s(self) -> float:
        return self.count / self.seconds

    @property
    def per_cpu_s(self) -> float:
        return self.count / max(self.cpu_s, TICK_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A goal in words, what was measured, and whether that is enough."""

    goal: str
    measured: str
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """What one program has to say: a part of docs/benchmarks.md. ``text`` says what was done, not on which machine."""

    title: str
    command: str
    text: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    goals: Sequence[Goal] = ()


@contextmanager
def stack(*names: Name, brokers: int = 1, partitions: int = 4, **changes: object) -> Iterator[tuple[Stack, Settings]]:
    """A stack on free ports with data of its own, gone afterwards; its topics created, its schemas registered.

    Kafka and the registry by default. ``changes`` are settings by field name. Parts that the environment names
    (KAFKA_BOOTSTRAP_SERVERS…) are used as they are; topics have a prefix of their own.
    """
    wanted = frozenset(names) or {Name.KAFKA, Name.REGISTRY}
    own = Settings(topic_prefix=f"bench{secrets.token_hex(3)}.")
    with tempfile.TemporaryDirectory(prefix="cosmo-bench-") as directory:
        home = Home.at(Path(directory), brokers=brokers, cache=own.home / "cache")
        with Stack.running(own, home=home, ports=Ports.free(brokers=brokers), names=wanted) as running:
            settings = running.connected(topic_partitions=partitions, **changes)
            create_topics(settings)
            register(settings, avsc.topics())
            yield running, settings


def environment(running: Stack, settings: Settings, **changes: str) -> dict[str, str]:
    """What points a child process at the stack and at its topics."""
    return running.env() | {"COSMO_TOPIC_PREFIX": settings.topic_prefix, "PYTHONWARNINGS": "ignore"} | changes


def register(settings: Settings, topic_names: Collection[str]) -> dict[str, tuple[int, ...]]:
    """Register the schemas of these topics; the ids of their versions."""
    registry = Registry(settings)
    try:
        return {name: registry.register(name) for name in topic_names}
    finally:
        registry.close()


def fill(settings: Settings, topic: str, records: Iterable[tuple[bytes | None, bytes]], **config: Any) -> int:
    """Produce (key, value) records as fast as the broker takes them; how many. Compression is zstd, as in ours. Raises
    KafkaException with the first refusal: a measurement of a topic that is not full is none."""
    failed: list[KafkaError] = []

    def delivered(error: KafkaError | None, _message: object) -> None:
        if error is not None:
            failed.append(error)

    producer = Producer(client_config(settings) | {"compression.type": "zstd"} | config)
    count = 0
    for count, (key, value) in enumerate(records, 1):
        while True:
            try:
                producer.produce(topic, value=value, key=key, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.1)
        if count % 1000 == 0:
            producer.poll(0)
        if failed:
            break
    left = producer.flush(60.0)
    if failed:
        raise KafkaException(failed[0])
    if left:
        raise RuntimeError(f"{left} records were not confirmed")
    return count


def child(name: str, command: Sequence[str], env: Mapping[str, str]) -> Run:
    """Run a process that measures itself with `bench.peers.meter` and prints its line last."""
    done = subprocess.run(
        command, env=dict(os.environ) | dict(env), stdout=subprocess.PIPE, timeout=CHILD_S, check=True, text=True
    )
    return Run(name=name, **json.loads(done.stdout.strip().splitlines()[-1]))


@contextmanager
def timed(name: str, count: int, found: list[Run], processes: Collection[psutil.Process] = ()) -> Iterator[None]:
    """Measure a block of this process, or the CPU time of others meanwhile, and append it to ``found``."""
    watched = list(processes) or [psutil.Process()]
    before, began = _cpu_s(watched), time.perf_counter()
    yield
    seconds = time.perf_counter() - began
    found.append(Run(name=name, count=count, seconds=seconds, cpu_s=_cpu_s(watched) - before))


def _cpu_s(processes: Collection[psutil.Process]) -> float:
    times = [process.cpu_times() for process in processes]
    return sum(one.user + one.system for one in times)


def paired(candidates: Mapping[str, Callable[[], Run]], repeats: int) -> dict[str, Run]:
    """Run all candidates in turn, ``repeats`` times over and every other time backwards, so that what else happens on
    the machine meets them alike; the fastest run of each."""
    found: dict[str, list[Run]] = {name: [] for name in candidates}
    for repeat in range(repeats):
        for name in list(candidates) if repeat % 2 == 0 else list(candidates)[::-1]:
            run = candidates[name]()
            found[name].append(run)
            emit("run", asdict(run) | {"repeat": repeat, "per_s": run.per_s, "per_cpu_s": run.per_cpu_s})
    return {name: max(runs, key=lambda run: run.per_s) for name, runs in found.items()}


def emit(kind: str, document: Mapping[str, Any]) -> None:
    """One JSON line on standard output."""
    sys.stdout.write(json.dumps({"kind": kind, **document}) + "\n")
    sys.stdout.flush()


def finish(section: Section) -> None:
    """The program's last line, and its table on standard error for whoever watches."""
    emit("section", asdict(section))
    sys.stderr.write(markdown(section))


def at_least(goal: str, measured: float, bound: float, unit: str = "×") -> Goal:
    """A goal that holds when ``measured`` is ``bound`` or more."""
    return Goal(goal=goal, measured=f"{measured:.3g}{unit}", holds=measured >= bound)


def markdown(section: Section) -> str:
    """The section as it stands in docs/benchmarks.md."""
    lines = [f"## {section.title}", "", f"`{section.command}`", "", section.text, "", *_table(section)]
    if section.goals:
        lines += ["", "| goal | measured | holds |", "|---|---|---|"]
        lines += [f"| {one.goal} | {one.measured} | {'yes' if one.holds else '**no**'} |" for one in section.goals]
    return "\n".join(lines) + "\n"


def _table(section: Section) -> list[str]:
    rows = [section.columns, ["---"] * len(section.columns), *section.rows]
    return [f"| {' | '.join(row)} |" for row in rows]
