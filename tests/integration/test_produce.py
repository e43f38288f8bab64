"""Events sent to a real broker: confirmed, readable, accounted for line by line."""

from __future__ import annotations

import json
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message
from confluent_kafka.cimpl import NewTopic

from cosmo.produce import Refusal, broker, numbered, send
from cosmo.produce.broker import KafkaBroker
from cosmo.runtime.errors import CosmoError
from cosmo.runtime.settings import Settings
from schemas.codec import Codec
from schemas.records import QueryPurchase
from schemas.registry import Registry
from streams.kafka.admin import create_topics
from streams.kafka.clients import admin
from tests.integration.test_bad_records import read_all

pytestmark = pytest.mark.integration


@pytest.fixture
def registry(settings: Settings) -> Iterator[Registry]:
    create_topics(settings)
    with closing(Registry(settings)) as registry:
        for topic in ("query-purchase", "co-purchase"):
            registry.register(topic)
        yield registry


def event(number: int, **changes: Any) -> dict[str, Any]:
    found = {
        "event_id": f"e{number}",
        "event_time": datetime.now(UTC).isoformat(),
        "session_id": f"s{number}",
        "query": "pasta sauce",
        "action": "CLICK",
        "product": {"product_id": f"p{number}", "title": "Tomato sauce"},
    }
    return found | changes


def lines(*events: dict[str, Any]) -> list[bytes]:
    return [json.dumps(one).encode() for one in events]


def decoded(settings: Settings, registry: Registry, name: str = "query-purchase") -> dict[str, QueryPurchase]:
    codec = Codec(name, QueryPurchase, registry)
    return {(record := codec.decode(message.value())).event_id: record for message in read_all(settings, name)}


def test_every_good_line_arrives_and_every_bad_one_is_told(settings: Settings, registry: Registry) -> None:
    refused: list[Refusal] = []
    given = [*lines(*map(event, range(500))), *lines(event(500, query=" "), event(501, action="BUY")), b"", b"{"]
    summary = send(numbered(given), topic="query-purchase", settings=settings, refused=refused.append)
    assert (summary.lines, summary.sent, summary.passed, summary.waiting) == (504, 500, {"blank": 1}, 0)
    assert [(refusal.line.number, str(refusal.reason)) for refusal in refused] == [
        (501, "empty_query"),
        (502, "unknown_action"),
        (504, "not_json"),
    ]
    assert set(decoded(settings, registry)) == {f"e{number}" for number in range(500)}


def test_a_cloud_event_keeps_its_attributes_as_headers_and_its_key(settings: Settings, registry: Registry) -> None:
    envelope = {
        "specversion": "1.0",
        "id": "c1",
        "source": "/shop",
        "type": "click",
        "partitionkey": "k",
        "data": event(1),
    }
    assert send(numbered(lines(envelope)), topic="query-purchase", settings=settings).sent == 1
    (message,) = read_all(settings, "query-purchase")
    assert message.key() == b"k"
    assert headers(message) | {"ce_id": b"c1", "ce_type": b"click", "ce_source": b"/shop"} == headers(message)
    assert Codec("query-purchase", QueryPurchase, registry).decode(message.value()).event_id == "e1"


def headers(message: Message) -> dict[str, Any]:
    return dict(message.headers() or [])


def test_the_command_prints_one_document_and_writes_what_it_refused(
    env: dict[str, str], settings: Settings, registry: Registry, tmp_path: Path
) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(b"\n".join(lines(event(1), event(2, session_id=7))) + b"\n")
    done = cosmo(env, "produce", "query-purchase", str(path), "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["sent"], document["refused"]) == (1, {"wrong_type": 1})
    (refusal,) = map(json.loads, (tmp_path / "events.ndjson.refused.ndjson").read_text().splitlines())
    assert (refusal["line"], refusal["detail"]) == (2, "session_id is a number where a string is wanted")
    assert refusal["original"].encode() == path.read_bytes().splitlines()[1]


def cosmo(env: dict[str, str], *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "cosmo", *arguments]
    return subprocess.run(command, env=env, input=stdin, capture_output=True, check=False, timeout=120)


def ubi_log() -> list[bytes]:
    at = datetime.now(UTC).isoformat()
    shown = {"object_id": 1, "title": "Tomato sauce"}
    events = [
        {"action_name": name, "query_id": "q", "timestamp": at, "event_attributes": {"object": shown}}
        for name in ("impression", "Item Click", "page_exit", "add_to_cart")
    ]
    return lines(*events, {"query_id": "q", "user_query": "pasta sauce", "client_id": "c"})


def test_a_ubi_log_from_standard_input_arrives_joined(
    env: dict[str, str], settings: Settings, registry: Registry, tmp_path: Path
) -> None:
    arguments = ("produce", "query-purchase", "-", "--format", "ubi", "--strict")
    done = cosmo(env, *arguments, "--refused", str(tmp_path / "bad"), stdin=b"\n".join(ubi_log()))
    assert done.returncode == 1, "strict"
    assert b"Sent 3 events" in done.stdout
    assert b"unknown_action" in done.stdout
    assert b"Traceback" not in done.stderr
    records = decoded(settings, registry).values()
    assert {(record.action.value, record.query, record.session_id) for record in records} == {
        ("IMPRESSION", "pasta sauce", "c"),
        ("CLICK", "pasta sauce", "c"),
        ("ADD_TO_CART", "pasta sauce", "c"),
    }
    (refusal,) = map(json.loads, (tmp_path / "bad").read_text().splitlines())
    mended = refusal["original"].replace("page_exit", "purchase") + "\n" + ubi_log()[-1].decode()
    again = cosmo(env, *arguments[:-1], "--json", stdin=mended.encode())
    assert (again.returncode, json.loads(again.stdout)["sent"]) == (0, 1)


@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_confirms_what_was_read_and_reports(
    env: dict[str, str], settings: Settings, registry: Registry, tmp_path: Path, ended_by: signal.Signals
) -> None:
    command = [sys.executable, "-m", "cosmo", "produce", "query-purchase", "-", "--json"]
    with subprocess.Popen(
        command, env=env, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(b"".join(line + b"\n" for line in lines(*map(event, range(100)))))
        child.stdin.flush()
        wait_for(lambda: len(decoded(settings, registry)) == 100)
        child.send_signal(ended_by)
        document = json.loads(child.stdout.read())
        assert child.wait(60) == 130
    assert (document["sent"], document["waiting"], document["interrupted"]) == (100, 0, True)
    assert document["read_until"] == "-:100"


def wait_for(condition: Callable[[], bool]) -> None:
    stop_at = time.monotonic() + 60.0
    while not condition():
        assert time.monotonic() < stop_at, "the records did not arrive"


def test_a_record_that_the_broker_does_not_take_is_told_by_line(settings: Settings) -> None:
    client, name = admin(settings), settings.topic_prefix + "query-purchase"
    client.create_topics([NewTopic(name, 1, 1, config={"max.message.bytes": "2000"})])[name].result(30.0)
    with closing(Registry(settings)) as registry:
        registry.register("query-purchase")
    refused: list[Refusal] = []
    large = event(1, product={"product_id": "p", "title": "t", "attributes": {"noise": secrets.token_hex(4000)}})
    given = lines(event(0), large, event(2))
    summary = send(numbered(given), topic="query-purchase", settings=settings, refused=refused.append)
    assert (summary.sent, summary.failure) == (2, "")
    assert [(one.line.number, str(one.reason)) for one in refused] == [(2, "broker_refused")]


def test_a_topic_that_does_not_exist_is_a_sentence(settings: Settings) -> None:
    with pytest.raises(CosmoError, match=r"query-purchase does not exist"):
        KafkaBroker(settings, settings.topic_prefix + "query-purchase", max_bytes=1_000_000)


def test_brokers_that_do_not_answer_are_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "REACH_S", 0.5)
    with pytest.raises(CosmoError, match=r"No Kafka broker answers at 127\.0\.0\.1:9: "):
        KafkaBroker(Settings(kafka_bootstrap_servers="127.0.0.1:9"), "query-purchase", max_bytes=1_000_000)


def test_the_refusals_of_a_file_go_when_it_is_mended(
    env: dict[str, str], settings: Settings, registry: Registry, tmp_path: Path
) -> None:
    events = tmp_path / "events.ndjson"
    refused = tmp_path / "events.ndjson.refused.ndjson"
    events.write_bytes(b"\n".join([*lines(event(1)), b"{"]))
    assert cosmo(env, "produce", "query-purchase", str(events)).returncode == 0
    assert len(refused.read_text().splitlines()) == 1
    events.write_bytes(b"\n".join(lines(event(1), event(2))))
    assert cosmo(env, "produce", "query-purchase", str(events)).returncode == 0
    assert not refused.exists()


def test_the_refusals_of_a_file_stay_when_it_has_been_emptied(
    env: dict[str, str], settings: Settings, registry: Registry, tmp_path: Path
) -> None:
    """Whoever rotates the file has them nowhere else."""
    events = tmp_path / "events.ndjson"
    events.write_bytes(b"{")
    assert cosmo(env, "produce", "query-purchase", str(events)).returncode == 0
    events.write_bytes(b"")
    assert cosmo(env, "produce", "query-purchase", str(events)).returncode == 0
    assert len((tmp_path / "events.ndjson.refused.ndjson").read_text().splitlines()) == 1


def test_a_table_and_an_empty_file_are_told_apart_from_events(
    env: dict[str, str], settings: Settings, registry: Registry, tmp_path: Path
) -> None:
    table, nothing, events = (tmp_path / name for name in ("table", "nothing", "events"))
    table.write_bytes(b"event_id,query\ne-1,tent\n")
    nothing.touch()
    events.write_bytes(b"\n".join(lines(event(1))))
    done = cosmo(env, "produce", "query-purchase", *map(str, (table, nothing, events)))
    assert done.returncode == 0
    first, second = done.stdout.decode().splitlines()[-2:]
    assert first.startswith(f"{table} seems to be a table (CSV);")
    assert second == f"{nothing} is empty."


def test_standard_input_that_is_closed_is_a_sentence(
    env: dict[str, str], settings: Settings, registry: Registry
) -> None:
    command = f"{sys.executable} -m cosmo produce query-purchase - <&-"
    done = subprocess.run(["bash", "-c", command], env=env, capture_output=True, check=False, timeout=120)
    assert done.returncode == 1
    assert b"Standard input is closed." in done.stderr
    assert b"defect" not in done.stderr


def test_refusals_on_a_full_disk_are_said_to_be_nowhere(
    env: dict[str, str], settings: Settings, registry: Registry
) -> None:
    given = b"\n".join([*lines(event(1)), b"{", b"{", *lines(event(2))])
    done = cosmo(env, "produce", "query-purchase", "-", "--refused", "/dev/full", "--json", stdin=given)
    document = json.loads(done.stdout)
    assert done.returncode == 1
    assert (document["sent"], document["refused_total"], document["refused_and_not_written"]) == (1, 1, 1)
    assert "No space left on device" in document["failure"]
