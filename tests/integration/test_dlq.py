"""Dead letters on real parts: they die, are looked at, their cause is mended, and they are counted once."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from copy import deepcopy
from dataclasses import replace
from io import BytesIO
from typing import Any

import httpx
import pytest
from fastavro import parse_schema, schemaless_writer

from cosmo.deadletters import operations, replay
from cosmo.deadletters.reader import ALL
from cosmo.runtime.errors import CosmoError
from cosmo.runtime.settings import Settings
from schemas import avsc
from schemas.codec import Codec
from schemas.convert import converter
from schemas.framing import id_frame
from schemas.records import PairCounts, QueryPurchase
from schemas.registry import Registry
from streams.blocks import FACTS, from_ipc
from streams.kafka.admin import create_topics
from tests.ingest.bad_records import Kind, search
from tests.integration.test_bad_records import ingest_all, produce, read_all

pytestmark = pytest.mark.integration

EXIT_STOPPED = 3


@pytest.fixture
def registry(settings: Settings) -> Iterator[Registry]:
    create_topics(settings)
    with closing(Registry(settings)) as registry:
        for topic in ("query-purchase", "co-purchase", "pair-counts"):
            registry.register(topic)
        yield registry


def cosmo(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cosmo", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=120)


def document(env: dict[str, str], *arguments: str) -> Any:
    done = cosmo(env, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def raw(value: bytes | None, **more: Any) -> Kind:
    return Kind(name="raw", topic="query-purchase", value=value, reason=None, **more)


def facts(settings: Settings, registry: Registry) -> int:
    codec = Codec("pair-counts", PairCounts, registry)
    blocks = [codec.decode(message.value()).facts for message in read_all(settings, "pair-counts")]
    return sum(from_ipc(block, FACTS).height for block in blocks)


class NewProducer:
    """A shop that has added a field to its events, and has not registered its schema yet."""

    def __init__(self, settings: Settings) -> None:
        self._subject = f"{settings.schema_registry_url}/subjects/{settings.topic_prefix}"
        self._schema = deepcopy(avsc.load("query-purchase"))
        field = f"campaign_{secrets.token_hex(4)}"
        self._schema["fields"].append({"name": field, "type": ["null", "string"], "default": None})

    def next_id(self) -> int:
        """The id that the registry will give next, since it counts."""
        schema = {"type": "fixed", "name": f"F{secrets.token_hex(4)}", "size": 1}
        return self._post("other", schema) + 1

    def register(self) -> int:
        return self._post("query-purchase", self._schema)

    def encode(self, event: QueryPurchase, schema_id: int) -> bytes:
        out = BytesIO()
        datum = converter(avsc.load("query-purchase"), QueryPurchase).to_avro(event)
        bare = json.loads(json.dumps(self._schema).replace('"logicalType": "timestamp-millis"', '"doc": ""'))
        schemaless_writer(out, parse_schema(bare), datum)
        return id_frame(schema_id) + out.getvalue()

    def _post(self, name: str, schema: Any) -> int:
        body = {"schema": avsc.text(schema)}
        return int(httpx.post(f"{self._subject}{name}-value/versions", json=body).raise_for_status().json()["id"])


async def test_a_letter_whose_cause_is_mended_is_replayed_and_counted_once(
    settings: Settings, env: dict[str, str], registry: Registry
) -> None:
    shop = NewProducer(settings)
    schema_id = shop.next_id()
    value = shop.encode(search(session_id="new"), schema_id)
    produce(settings, [raw(value, headers=(("ce_id", b"7"),)), raw(b"hello")])
    await ingest_all(settings.model_copy(update={"dead_letter_ratio": 1.0}), registry)

    listed = document(env, "dlq", "list")
    assert {(one["reason"], one["letters"], one["replayed"]) for one in listed} == {
        ("unknown_schema", 1, 0),
        ("wrong_magic", 1, 0),
    }
    (shown,) = document(env, "dlq", "show", "query-purchase", "--reason", "unknown_schema")
    assert bytes.fromhex(shown["value_hex"]) == value
    assert shown["came_from"] == f"{settings.topic_prefix}query-purchase[0]@0"
    assert shown["headers"] == [["ce_id", b"7".hex()]]
    assert shown["now"]["verdict"] == "refused"
    assert facts(settings, registry) == 0

    assert shop.register() == schema_id
    (mended,) = document(env, "dlq", "show", "query-purchase", "--reason", "unknown_schema")
    assert mended["now"]["verdict"] == "accepted"
    replay = ("dlq", "replay", "query-purchase", "--reason", "unknown_schema")
    foreseen = document(env, "dlq", "replay", "query-purchase", "--dry-run")
    assert (foreseen["replayed"], foreseen["now"]) == (2, {"accepted": 1, "refused": 1})
    assert document(env, *replay, "--dry-run")["now"] == {"accepted": 1}
    assert document(env, *replay)["replayed"] == 1
    assert document(env, *replay) | {"replayed": 0, "passed_over": 1} == document(env, *replay)

    with closing(Registry(settings)) as later:
        await ingest_all(settings, later)
        assert facts(settings, later) == 1
    again = read_all(settings, "query-purchase")[-1]
    assert (again.value(), again.key(), again.partition()) == (value, b"some key", 0)
    assert again.headers() == [("ce_id", b"7"), ("cosmo_replays", b"1")]
    assert {(one["reason"], one["letters"], one["replayed"]) for one in document(env, "dlq", "list")} == {
        ("unknown_schema", 1, 1),
        ("wrong_magic", 1, 0),
    }


async def test_what_is_still_bad_comes_back_with_its_count_and_is_parked_in_the_end(
    settings: Settings, env: dict[str, str], registry: Registry
) -> None:
    lenient = settings.model_copy(update={"dead_letter_ratio": 1.0})
    produce(settings, [raw(None, key=None, headers=())])
    replay = ("dlq", "replay", "query-purchase.dlq", "--max-replays", "1", "--yes")
    await ingest_all(lenient, registry)
    assert document(env, *replay)["replayed"] == 1
    await ingest_all(lenient, registry)
    foreseen = document(env, "dlq", "replay", "query-purchase", "--dry-run")
    assert (foreseen["replayed"], foreseen["returned"], foreseen["now"]) == (1, 1, {"refused": 1})
    done = document(env, *replay)
    assert (done["replayed"], done["passed_over"], done["parked"]) == (0, 1, 1)
    (newest,) = document(env, "dlq", "show", "query-purchase")
    assert (newest["replays"], newest["value_hex"], newest["key_hex"]) == (1, None, None)
    assert len(read_all(settings, "query-purchase")) == 2


async def test_people_read_where_why_and_what(settings: Settings, env: dict[str, str], registry: Registry) -> None:
    value = Codec("query-purchase", QueryPurchase, registry).encode(replace(search(), query="\x1b[2J "))
    produce(settings, [raw(value + b"\x00")])
    await ingest_all(settings, registry)
    listed = cosmo(env, "dlq", "list", "query-purchase").stdout
    where = f"{settings.topic_prefix}query-purchase.dlq["
    assert "trailing_bytes" in listed
    assert where in listed
    shown = cosmo(env, "dlq", "show", "query-purchase").stdout
    assert where in shown
    assert "some key" in shown
    assert "\x1b" not in shown
    none = cosmo(env, "dlq", "show", "query-purchase", "--offset", "99")
    assert (none.returncode, none.stdout) == (1, "")
    assert "has no such dead letter" in none.stderr
    assert cosmo(env, "dlq", "list", "co-purchase").stdout == "No dead letters.\n"
    assert cosmo(env, "dlq", "list", "intents").returncode == 2


def test_too_many_dead_letters_stop_the_worker_process_with_a_sentence_and_exit_code_3(
    settings: Settings, env: dict[str, str], registry: Registry
) -> None:
    produce(settings, [raw(b"hello")] * 500)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    done = cosmo(env | {"COSMO_WORKER_PORT": port}, "worker", "ingest")
    assert done.returncode == EXIT_STOPPED, done.stderr
    topic = f"{settings.topic_prefix}query-purchase"
    said = f"More than 50% of the last records of {topic} cannot be used: {topic}[0]@0 is wrong_magic, the first byte"
    assert said in done.stderr
    assert "COSMO_DEAD_LETTER_RATIO=1" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_prefix_under_which_there_are_no_topics_is_not_said_to_have_no_dead_letters(env: dict[str, str]) -> None:
    listed = cosmo(env, "dlq", "list")
    assert (listed.returncode, listed.stdout) == (1, "")
    assert "None of these topics exists" in listed.stderr


async def test_a_replay_that_breaks_off_says_what_it_has_done_and_the_next_one_does_the_rest(
    settings: Settings, env: dict[str, str], registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the second batch the brokers are gone; in the second of the next run somebody presses Ctrl-C."""
    produce(settings, [raw(b"hello")] * 30)
    await ingest_all(settings.model_copy(update={"dead_letter_ratio": 1.0}), registry)
    monkeypatch.setattr(replay, "BATCH", 10)
    real, batches = replay.Replay._batch, 0

    async def breaking(*arguments: Any) -> None:
        nonlocal batches
        batches += 1
        if batches == 2:
            raise CosmoError("The brokers are gone.")
        if batches == 4:
            raise KeyboardInterrupt
        await real(*arguments)

    monkeypatch.setattr(replay.Replay, "_batch", breaking)

    def run() -> tuple[int, str, bool]:
        done = operations.replay(settings, "query-purchase", ALL, max_replays=5)
        return done.replayed, done.failure, done.interrupted

    assert await asyncio.to_thread(run) == (10, "The brokers are gone.", False)
    assert await asyncio.to_thread(run) == (10, "", True)
    assert document(env, "dlq", "replay", "query-purchase", "--yes")["replayed"] == 10
    assert len(read_all(settings, "query-purchase")) == 60
