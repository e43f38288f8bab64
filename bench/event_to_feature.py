"""How long from a shopper's event until readers see the feature, through all four real workers, with an instant model.

    python -m bench.event_to_feature [--queries 100] [--every-s 0.1]

Each probe is a query that nobody has used before: four shoppers see, click and buy a product. The clock starts when the
last of these events is handed to the producer, and stops when a look-up of the query answers with an intent.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from confluent_kafka import Producer

from bench.harness import Goal, Section, emit, environment, finish, stack
from cosmo.runtime.settings import Settings
from cosmo.stack.furnish import furnish
from cosmo.stack.parts import Name
from cosmo.stack.ports import Ports
from cosmo.workers.one import BUILDERS
from features.lookup.reader import Reader, build
from schemas.codec import Codec
from schemas.records import Action, Product, QueryPurchase
from schemas.registry import Registry
from streams import topics
from streams.kafka.clients import client_config

SESSIONS = 4
"""One more than k-anonymity asks for."""
ACTIONS = (Action.IMPRESSION, Action.CLICK, Action.PURCHASE)
WARM_UP = 10
POLL_S = 0.005
PATIENCE_S = 30.0
GOAL_S = 1.0
WORDS = ("umbrella", "tent", "kettle", "lamp", "jacket", "guitar", "blanket", "mug")


@dataclass(slots=True)
class Probes:
    """The queries under way and what has been measured of them, in seconds."""

    sent_s: dict[str, float] = field(default_factory=dict)
    seen_s: dict[str, float] = field(default_factory=dict)

    @property
    def waiting(self) -> list[str]:
        return [text for text in self.sent_s if text not in self.seen_s]


def main() -> None:
    """Measure, print JSON lines, and end with the section."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--queries", type=int, default=100)
    arguments.add_argument("--every-s", type=float, default=0.1)
    chosen = arguments.parse_args()
    with stack(Name.KAFKA, Name.REGISTRY, Name.VALKEY) as (running, settings), model() as lm_url:
        furnish(settings)
        with workers(environment(running, settings, COSMO_LM_URL=lm_url)):
            asyncio.run(probe(settings, WARM_UP, 1.0, "warm up"))
            probes = asyncio.run(probe(settings, chosen.queries, chosen.every_s, "probe"))
    finish(section(sorted(probes.seen_s[text] - sent_s for text, sent_s in probes.sent_s.items()), chosen.every_s))


@contextlib.contextmanager
def model() -> Iterator[str]:
    """The scripted model server in a process of its own; its address."""
    command = [sys.executable, "-m", "tests.support.scripted_model"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().split()[-1]
        server.terminate()


@contextlib.contextmanager
def workers(env: dict[str, str]) -> Iterator[None]:
    """The four workers, each a process of its own, as `cosmo worker` runs them."""
    ports = Ports.free(brokers=len(BUILDERS)).kafka
    logs = Path(env["COSMO_HOME"])
    running = []
    try:
        for process, port in zip(BUILDERS, ports, strict=True):
            with (logs / f"{process}.log").open("wb") as log:
                running.append(
                    subprocess.Popen(
                        [sys.executable, "-m", "cosmo", "worker", process],
                        env=dict(os.environ) | env | {"COSMO_WORKER_PORT": str(port), "COSMO_TIED_TO_PARENT": "1"},
                        stderr=log,
                    )
                )
        yield
    finally:
        for worker in running:
            worker.terminate()
        for worker in running:
            worker.wait(30.0)


async def probe(settings: Settings, queries: int, every_s: float, name: str) -> Probes:
    """Send the probes one after another, and look for all of them all the time. Raises TimeoutError."""
    probes, reader = Probes(), build(settings)
    sending = asyncio.create_task(_send_all(settings, queries, every_s, name, probes))
    try:
        async with asyncio.timeout(PATIENCE_S + queries * every_s):
            while not sending.done() or probes.waiting:
                await _look(reader, probes)
                await asyncio.sleep(POLL_S)
        await sending
    finally:
        sending.cancel()
        await reader.close()
    return probes


async def _send_all(settings: Settings, queries: int, every_s: float, name: str, probes: Probes) -> None:
    registry = Registry(settings)
    codec = Codec(topics.QUERY_PURCHASE.name, QueryPurchase, registry)
    producer = Producer(client_config(settings) | {"linger.ms": 0})
    for number in range(queries):
        text = f"{name} {number} {WORDS[number % len(WORDS)]}"
        values = [codec.encode(event) for event in events(text, number, datetime.now(UTC))]
        for value in values:
            producer.produce(settings.topic_prefix + topics.QUERY_PURCHASE.name, value=value, key=text.encode())
        probes.sent_s[text] = time.perf_counter()
        await asyncio.to_thread(producer.flush, 10.0)
        await asyncio.sleep(every_s)
    registry.close()


def events(text: str, number: int, now: datetime) -> Iterator[QueryPurchase]:
    """What the shoppers of one query do."""
    kind = WORDS[number % len(WORDS)]
    product = Product(
        product_id=f"{kind}-{number % 40}", title=f"Red {kind} with lid, size {number % 40}", product_type=kind
    )
    for session in range(SESSIONS):
        for action in ACTIONS:
            yield QueryPurchase(
                event_id=f"{text}/{session}/{action}",
                event_time=now,
                session_id=f"{text} {session}",
                locale="en-US",
                query=text,
                action=action,
                product=product,
            )


async def _look(reader: Reader, probes: Probes) -> None:
    waiting = probes.waiting
    if not waiting:
        return
    answers = (await reader.batch(waiting, [], [])).queries
    now_s = time.perf_counter()
    for text, answer in zip(waiting, answers, strict=True):
        if answer.intents:
            probes.seen_s[text] = now_s
            emit("probe", {"query": text, "seconds": now_s - probes.sent_s[text]})


def section(latencies_s: Sequence[float], every_s: float) -> Section:
    """The quantiles."""
    p50, p95 = statistics.median(latencies_s), quantile(latencies_s, 0.95)
    return Section(
        title="Event to feature",
        command="python -m bench.event_to_feature",
        text=(
            f"{len(latencies_s)} new queries, one every {every_s:g} s, each with {SESSIONS} shoppers who see, click "
            "and buy: from the last event handed to the producer until a look-up answers with an intent. Four real "
            "workers, one broker, Valkey, and a model server that answers at once."
        ),
        columns=("p50", "p95", "slowest"),
        rows=[[f"{p50:.2f} s", f"{p95:.2f} s", f"{latencies_s[-1]:.2f} s"]],
        goals=[Goal(goal=f"p95 below {GOAL_S:g} s", measured=f"{p95:.2f} s", holds=p95 < GOAL_S)],
    )


def quantile(ordered: Sequence[float], part: float) -> float:
    """The value that this part of the ordered values does not exceed."""
    return ordered[min(len(ordered) - 1, round(part * len(ordered)))]


if __name__ == "__main__":
    main()
