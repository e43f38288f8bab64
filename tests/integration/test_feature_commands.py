"""`cosmo features`, `cosmo lookup` and `cosmo knowledge` as a person runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from confluent_kafka import Producer

from cosmo.runtime.settings import Settings
from streams import topics
from streams.kafka.clients import client_config
from tests.features.examples import BOOTS, co_buy, intent
from tests.integration.materialized import Log, materialize, prepare

pytestmark = pytest.mark.integration


@pytest.fixture
def ready(settings: Settings, tmp_path: Path) -> Settings:
    return prepare(settings.model_copy(update={"home": tmp_path}))


@pytest.fixture
def child_env(env: dict[str, str], ready: Settings) -> dict[str, str]:
    return env | {"COSMO_HOME": str(ready.home)}


def cosmo(env: dict[str, str], *arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "cosmo", *arguments], env=env, capture_output=True, text=True, timeout=60.0, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


def document(env: dict[str, str], *arguments: str) -> Any:
    return json.loads(cosmo(env, *arguments, "--json"))


async def test_from_an_empty_store_to_an_explained_answer(ready: Settings, child_env: dict[str, str]) -> None:
    assert "cosmo features apply" in cosmo(child_env, "lookup", "query", "camping tent", code=1)
    applied = document(child_env, "features", "apply")
    assert (Path(applied["repository"]) / "feature_store.yaml").stat().st_mode & 0o077 == 0  # it may hold a password
    assert cosmo(child_env, "lookup", "query", "Camping  TENT") == "Nothing known about “camping tent”.\n"
    assert document(child_env, "lookup", "product", "B77")["status"] == "none"

    Log(ready).write([intent(), co_buy(BOOTS)])
    await materialize(ready)

    plain = cosmo(child_env, "lookup", "query", "umbrella for storms")
    assert "used for walking the dog" in plain
    assert "searched" not in plain
    explained = cosmo(child_env, "lookup", "query", "umbrella for storms", "--explain")
    assert "4 sessions had searched “umbrella for storms” and bought “Windproof umbrella” when" in explained
    assert "Rain boots" in cosmo(child_env, "lookup", "product", "B01", "--complements")
    found = document(child_env, "lookup", "product", "B01")
    assert [one["tail"] for one in found["intents"]] == ["walking the dog"]


def test_the_graph_is_counted_and_exported_as_it_stands(
    ready: Settings, child_env: dict[str, str], tmp_path: Path
) -> None:
    log = Log(ready)
    gone = intent(intent_id="i-9", tail_key="gone")
    log.write([intent(), intent(pair_id="p-2"), co_buy(BOOTS), gone], entities=False)
    log.retract([gone])
    counts = document(child_env, "knowledge", "stats")
    assert (counts["edges"], counts["evidence"], counts["unreadable"]) == (2, 3, 0)
    assert counts["nodes"] == {"QUERY": 1, "PRODUCT": 0, "PRODUCT_PAIR": 1, "TAIL": 1}
    told = cosmo(child_env, "knowledge", "stats")
    assert "2 edges, from 3 pieces of evidence" in told
    assert told.startswith("3 nodes: 1 query, 1 product pair, 1 tail\n")  # what is not there is not listed
    for suffix in ("parquet", "jsonl"):
        file = tmp_path / f"graph.{suffix}"
        assert document(child_env, "knowledge", "export", str(file))["rows"] == 3
    pairs = pq.read_table(tmp_path / "graph.parquet")["pair_id"].to_pylist()
    assert sorted(pairs) == ["p-1", "p-2", "p-B02"]


def test_a_graph_of_which_nothing_can_be_read_is_not_an_empty_one(
    ready: Settings, child_env: dict[str, str], tmp_path: Path
) -> None:
    junk(ready, 3)
    for command in (("stats",), ("export", str(tmp_path / "graph.jsonl"))):
        assert "None of the 3 records of" in cosmo(child_env, "knowledge", *command, code=1)
    assert list(tmp_path.glob("*graph*")) == []


def test_records_that_cannot_be_read_are_counted_beside_the_graph(ready: Settings, child_env: dict[str, str]) -> None:
    Log(ready).write([intent()], entities=False)
    junk(ready, 2)
    assert document(child_env, "knowledge", "stats")["unreadable"] == 2
    done = subprocess.run(
        [sys.executable, "-m", "cosmo", "knowledge", "stats"],
        env=child_env,
        capture_output=True,
        text=True,
        timeout=60.0,
        check=True,
    )
    assert "2 records could not be read" in done.stderr
    assert "1 edges" in done.stdout


def junk(settings: Settings, records: int) -> None:
    producer = Producer(client_config(settings))
    for number in range(records):
        producer.produce(settings.topic_prefix + topics.INTENTS.name, b"junk", key=b"%d" % number)
    assert producer.flush(30.0) == 0


@pytest.mark.parametrize("command", [("lookup", "query", "tent"), ("knowledge", "stats")])
def test_parts_that_are_away_are_a_sentence(env: dict[str, str], command: tuple[str, ...]) -> None:
    nowhere = {"REDIS_URL": "redis://127.0.0.1:1/0", "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    said = cosmo(env | nowhere, *command, code=1)
    assert "does not answer" in said
    assert "Traceback" not in said
