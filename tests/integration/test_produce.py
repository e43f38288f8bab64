"""Events sent to a real broker: confirmed, readable, accounted for line by line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message

from cosmo.produce import Refusal, numbered, send
from cosmo.runtime.settings import Settings
from schemas.codec import Codec
from schemas.records import QueryPurchase
from schemas.registry import Registry
from streams.kafka.admin import create_topics
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
