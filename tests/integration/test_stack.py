"""``cosmo stack`` as people run it: child processes, a home of its own, every part real."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import redis
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient

from cosmo.runtime.settings import Settings
from cosmo.stack.ports import LOOPBACK
from streams import topics
from streams.kafka.clients import log_reader
from streams.kafka.lag import end_offsets, start_offsets
from tests.conftest import SessionStack
from tests.support.commands import Cosmo, alone
from tests.support.processes import listening_addresses, processes_of, until, until_none_runs

pytestmark = pytest.mark.integration

SOON_S = 30.0


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("one-broker")


@pytest.fixture(scope="module")
def cosmo(home: Path) -> Iterator[Cosmo]:
    """A stack of one broker that is up before each test and gone after the last."""
    program = alone(home)
    program("stack", "up")
    yield program
    program("stack", "down")
    until_none_runs(home, within_s=SOON_S)


def _pids(parts: list[dict[str, Any]]) -> dict[str, list[int]]:
    return {part["name"]: part["pids"] for part in parts}


def _address(parts: list[dict[str, Any]], name: str) -> str:
    return str(next(part["address"] for part in parts if part["name"] == name))


def test_a_stack_that_is_up_is_furnished(cosmo: Cosmo) -> None:
    parts = cosmo.json("stack", "status")
    assert {part["health"] for part in parts} == {"ready"}
    client = AdminClient({"bootstrap.servers": _address(parts, "kafka")})
    found = set(client.list_topics(timeout=SOON_S).topics)
    assert {topic.name for topic in topics.ALL} | {"query-purchase.dlq", "entity-intents.dlq"} <= found
    registered = cosmo.json("schemas", "register")
    assert {row["subject"] for row in registered} == {f"{topic.name}-value" for topic in topics.ALL}
    project = Path(cosmo.env["COSMO_HOME"]) / "feast" / "cosmo"
    assert (project / "feature_store.yaml").exists()


def test_a_second_up_changes_nothing_and_takes_seconds(cosmo: Cosmo) -> None:
    before = cosmo.json("stack", "status")
    began_s = time.monotonic()
    after = cosmo.json("stack", "up")
    assert time.monotonic() - began_s < SOON_S
    assert _pids(after) == _pids(before)


def test_everything_listens_on_the_loopback_address_only(cosmo: Cosmo, home: Path) -> None:
    assert len(processes_of(home)) == 4
    assert listening_addresses(home) == {LOOPBACK}


def test_up_starts_again_what_has_died_and_leaves_the_rest_alone(cosmo: Cosmo) -> None:
    before = cosmo.json("stack", "status")
    os.kill(_pids(before)["valkey"][0], signal.SIGKILL)
    status = cosmo.json("stack", "status", exits=1)
    assert {part["name"]: part["health"] for part in status}["valkey"] == "stopped"
    after = _pids(cosmo.json("stack", "up"))
    assert after.pop("valkey") != _pids(before).pop("valkey")
    assert all(pids == _pids(before)[name] for name, pids in after.items())


def test_whoever_saw_the_broker_die_is_told_offsets_again_soon_after_it_is_back(cosmo: Cosmo) -> None:
    """A client keeps the old leader epoch until it has been told that it is old; the admin client is told in vain."""
    parts = cosmo.json("stack", "status")
    partitions = [(topics.INTENTS.name, number) for number in range(4)]
    with closing(log_reader(Settings(kafka_bootstrap_servers=_address(parts, "kafka")))) as reader:
        before = end_offsets(reader, partitions), start_offsets(reader, partitions)
        os.kill(_pids(parts)["kafka"][0], signal.SIGKILL)
        with pytest.raises(KafkaException):
            end_offsets(reader, partitions, 1.0)
        cosmo.json("stack", "up")

        def told() -> bool:
            with suppress(KafkaException):
                return (end_offsets(reader, partitions, 1.0), start_offsets(reader, partitions, 1.0)) == before
            return False

        assert until(told, within_s=SOON_S)


def test_another_number_of_brokers_is_refused_while_it_runs(cosmo: Cosmo) -> None:
    said = cosmo("stack", "up", "--brokers", "3", exits=1).stderr
    assert "already runs with 1 broker." in said
    assert "cosmo stack down" in said


def test_data_survive_down_and_up_and_down_leaves_no_process(cosmo: Cosmo, home: Path) -> None:
    parts = cosmo.json("stack", "status")
    with redis.Redis.from_url(_address(parts, "valkey")) as store:
        store.set("kept", "yes")
    _produce(_address(parts, "kafka"), b"kept")
    ids = cosmo.json("schemas", "register")
    assert sorted(cosmo.json("stack", "down")["stopped"]) == ["kafka-1", "model", "registry", "valkey"]
    until_none_runs(home, within_s=SOON_S)
    assert cosmo.json("stack", "down") == {"stopped": []}
    parts = cosmo.json("stack", "up")
    with redis.Redis.from_url(_address(parts, "valkey")) as store:
        assert store.get("kept") == b"yes"
    assert _produce(_address(parts, "kafka"), b"after") == 1
    assert cosmo.json("schemas", "register") == ids


def test_three_brokers_lose_one_and_go_on(tmp_path: Path) -> None:
    """`status` says it, and a second `up` brings the third back."""
    cosmo = alone(tmp_path, brokers=3)
    try:
        parts = cosmo.json("stack", "up", "--brokers", "3")
        os.kill(_pids(parts)["kafka"][1], signal.SIGKILL)
        brokers = _address(parts, "kafka")
        assert [_produce(brokers, b"%d" % number) for number in range(20)] == list(range(20))
        kafka = cosmo.json("stack", "status", exits=1)[0]
        assert (kafka["health"], kafka["ended"]) == ("degraded", ["kafka-2"])
        assert "degraded (kafka-2 ended)" in cosmo("stack", "status", exits=1).stdout
        assert [part["health"] for part in cosmo.json("stack", "up", "--brokers", "3")] == ["ready"] * 4
    finally:
        cosmo("stack", "down")
    until_none_runs(tmp_path, within_s=SOON_S)


def _produce(brokers: str, value: bytes) -> int:
    """The offset at which all in-sync replicas have the record, in partition 0 of a topic of one producer."""
    offsets: list[int] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        assert error is None, error
        offsets.append(message.offset() or 0)

    producer = Producer({"bootstrap.servers": brokers, "acks": "all", "log_level": 0})
    producer.produce(topics.REJECTED_INTENTS.name, value, partition=0, on_delivery=delivered)
    assert producer.flush(60.0) == 0
    return offsets[0]


@pytest.fixture
def replaced(stack: SessionStack) -> dict[str, str]:
    """The session's Kafka, registry and Valkey as somebody's own servers."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": stack.kafka_bootstrap_servers,
        "SCHEMA_REGISTRY_URL": stack.schema_registry_url,
        "REDIS_URL": stack.redis_url,
    }


def test_a_part_of_ones_own_is_used_and_not_started(
    tmp_path: Path, replaced: dict[str, str], topic_prefix: str
) -> None:
    cosmo = alone(tmp_path, replaced | {"COSMO_TOPIC_PREFIX": topic_prefix})
    try:
        parts = {part["name"]: part for part in cosmo.json("stack", "up")}
        assert [name for name, part in parts.items() if part["ours"]] == ["model"]
        assert parts["valkey"]["address"] == replaced["REDIS_URL"]
        client = AdminClient({"bootstrap.servers": replaced["KAFKA_BOOTSTRAP_SERVERS"]})
        assert f"{topic_prefix}intents" in client.list_topics(timeout=SOON_S).topics
    finally:
        assert cosmo.json("stack", "down") == {"stopped": ["model"]}
    until_none_runs(tmp_path, within_s=SOON_S)


def test_a_part_of_ones_own_that_does_not_answer_is_one_sentence(tmp_path: Path, replaced: dict[str, str]) -> None:
    nobody = {"REDIS_URL": "redis://:secret@127.0.0.1:1/0", "COSMO_LM_URL": "http://127.0.0.1:1"}
    said = alone(tmp_path, replaced | nobody)("stack", "up", exits=1).stderr
    assert "does not answer at" in said
    assert "secret" not in said
    assert "Traceback" not in said


def test_a_port_in_use_is_one_sentence_and_nothing_is_started(tmp_path: Path) -> None:
    cosmo = alone(tmp_path, shared_cache=False)
    with socket.create_server((LOOPBACK, int(cosmo.env["COSMO_REDIS_PORT"]))):
        said = cosmo("stack", "up", exits=1).stderr.splitlines()
    assert said[0].startswith(f"Valkey needs port {cosmo.env['COSMO_REDIS_PORT']} on 127.0.0.1, which ")
    assert said[1] == "Stop that, or set COSMO_REDIS_PORT to another port."
    assert not processes_of(tmp_path)
    assert not list(tmp_path.iterdir()), "something was made or downloaded for nothing"


def test_a_disk_without_room_is_one_sentence(tmp_path: Path) -> None:
    said = alone(tmp_path, {"COSMO_MIN_FREE_BYTES": str(10**18)})("stack", "up", exits=1).stderr.splitlines()
    assert "GB are free on the disk of" in said[0]
    assert "COSMO_HOME" in said[1]


def test_a_model_that_is_not_to_be_had_is_one_sentence(tmp_path: Path, replaced: dict[str, str]) -> None:
    no_network = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
    said = alone(tmp_path, replaced | no_network, shared_cache=False)("stack", "up", exits=1).stderr.splitlines()
    assert "cannot be downloaded" in said[-2]
    assert "COSMO_LM_URL" in said[-1]
    assert not processes_of(tmp_path)


HOLDER = """
import time
from cosmo.runtime.settings import Settings
from cosmo.stack.home import Home
from cosmo.stack.parts import Name
from cosmo.stack.ports import Ports
from cosmo.stack.stack import Stack
home = Home.at(Settings().home)
with Stack.running(Settings(), home=home, ports=Ports.free(brokers=1), names={Name.VALKEY, Name.REGISTRY}):
    print("ready", flush=True)
    time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_kill_minus_nine_of_the_holder_leaves_no_orphan(tmp_path: Path) -> None:
    env = dict(alone(tmp_path).env)
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], env=env, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n"
        assert len(processes_of(tmp_path)) == 3
    finally:
        holder.kill()
        holder.communicate()
    until_none_runs(tmp_path, within_s=SOON_S)


def test_ctrl_c_at_any_moment_leaves_no_process_and_nothing_half_made(tmp_path: Path) -> None:
    """Each interruption meets what the last one left; at the end a start goes through."""
    cosmo = alone(tmp_path)
    for after_s in (0.8, 1.6, 3.0):
        _interrupt(cosmo, after_s)
        until_none_runs(tmp_path, within_s=SOON_S)
    try:
        assert [part["health"] for part in cosmo.json("stack", "up")] == ["ready"] * 4
    finally:
        cosmo("stack", "down")


def _interrupt(cosmo: Cosmo, after_s: float) -> None:
    starting = cosmo.start("stack", "up")
    time.sleep(after_s)
    starting.send_signal(signal.SIGINT)
    starting.send_signal(signal.SIGINT)  # nobody presses it only once
    _, said = starting.communicate(timeout=60.0)
    if starting.returncode == 0:  # it was quicker
        cosmo("stack", "down")
    assert starting.returncode in {0, 130, -signal.SIGINT}, said


def test_up_killed_in_the_middle_is_found_and_stopped_by_down(tmp_path: Path) -> None:
    """Processes that are to outlive `up` have pid files from their first moment."""
    cosmo = alone(tmp_path)
    starting = cosmo.start("stack", "up")
    assert until(lambda: len(processes_of(tmp_path)) >= 3, within_s=60.0)
    starting.kill()
    starting.communicate()
    assert cosmo.json("stack", "down")["stopped"]
    until_none_runs(tmp_path, within_s=SOON_S)
