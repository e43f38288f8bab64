"""The schema registry is stopped under running workers and started again: they wait, and say for what."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Producer

from cosmo.runtime.deadline import Deadline
from cosmo.runtime.settings import Settings
from cosmo.stack.parts import Name
from schemas.codec import Codec
from schemas.records import QueryPurchase
from schemas.registry import Registry
from streams import topics
from streams.kafka.admin import create_topics
from streams.kafka.clients import client_config
from tests.ingest.bad_records import search
from tests.integration.test_bad_records import lag, read_all
from tests.integration.test_sample import free_port
from tests.support.processes import until

pytestmark = pytest.mark.integration

EVENTS = 200
PATIENCE_S = 90.0


class Process:
    """A worker as a process of its own."""

    def __init__(self, name: str, env: dict[str, str], logs: Path) -> None:
        self.port = free_port()
        self.log = logs / f"{name}.log"
        with self.log.open("wb") as log:
            command = [sys.executable, "-m", "cosmo", "worker", name]
            self.popen = subprocess.Popen(command, env=env | {"COSMO_WORKER_PORT": str(self.port)}, stderr=log)

    def says(self) -> str:
        """The reason that /healthz gives; empty while it does not answer."""
        try:
            answer = httpx.get(f"http://127.0.0.1:{self.port}/healthz", trust_env=False)
        except httpx.TransportError:
            return ""
        return str(answer.json()["reason"])

    def waits(self) -> bool:
        return "waits for the schema registry" in self.says()


@pytest.fixture
def processes() -> Iterator[list[Process]]:
    started: list[Process] = []
    yield started
    for process in started:
        process.popen.kill()
        process.popen.wait()


@pytest.mark.timeout(300)
def test_workers_wait_for_a_registry_that_is_away_and_nothing_is_lost_or_dead_lettered(
    stack: Any, settings: Settings, env: dict[str, str], tmp_path: Path, processes: list[Process]
) -> None:
    """One worker that runs when the registry goes, and one that is started while it is away."""
    part = stack.all.parts[Name.REGISTRY]
    if not part.children:
        pytest.skip("SCHEMA_REGISTRY_URL names a registry that is not ours to stop")
    create_topics(settings)
    registry = Registry(settings)
    for topic in topics.ALL:
        registry.register(topic.name)
    event = Codec("query-purchase", QueryPurchase, registry).encode(search())
    registry.close()
    ingest = Process("ingest", env, tmp_path)
    processes.append(ingest)
    assert until(lambda: "purchase[" in ingest.says(), within_s=PATIENCE_S)
    try:
        part.stop(Deadline.after(20.0))
        producer = Producer(client_config(settings))
        for _ in range(EVENTS):
            producer.produce(settings.topic_prefix + "query-purchase", value=event)
        assert producer.flush(60.0) == 0
        sample = Process("sample", env, tmp_path)
        processes.append(sample)
        for process in processes:
            assert until(process.waits, within_s=PATIENCE_S), process.log.read_text()
            assert process.popen.poll() is None
        assert not read_all(settings, "pair-counts")
    finally:
        part.start()
        assert until(part.ready, within_s=PATIENCE_S)
    for process in processes:
        assert until(lambda process=process: process.says() and not process.waits(), within_s=PATIENCE_S)  # type: ignore[misc]
    assert until(lambda: asyncio.run(lag(settings)) == 0, within_s=PATIENCE_S), ingest.log.read_text()
    assert until(lambda: bool(read_all(settings, "sample-state")), within_s=PATIENCE_S), sample.log.read_text()
    assert not read_all(settings, "query-purchase.dlq")
    for process in processes:
        assert process.log.read_text().count("waiting for a dependency") == 1
        assert process.log.read_text().count("dependency is back") == 1
        process.popen.terminate()
        assert process.popen.wait(30.0) == 0
