"""`cosmo topics` says and makes what the stream needs."""

from __future__ import annotations

import pytest

from streams import topics
from tests.conftest import SessionStack
from tests.support.commands import Cosmo

DEAD_LETTERS = {topic.dlq for read in topics.CONSUMED.values() for topic in read}
EVERY = {topic.name for topic in topics.ALL} | DEAD_LETTERS | {topics.REPLAYS.name}


def test_the_list_names_every_topic_and_asks_no_server() -> None:
    nowhere = Cosmo(
        {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "COSMO_TOPIC_PREFIX": "a.", "COSMO_TOPIC_PARTITIONS": "7"}
    )
    rows = nowhere.json("topics", "list")
    assert {row["topic"] for row in rows} == {f"a.{name}" for name in EVERY}
    assert {row["partitions"] for row in rows} == {7}
    assert next(row["config"] for row in rows if row["topic"] == "a.intents")["cleanup.policy"] == "compact"
    assert "a.intents" in nowhere("topics", "list").stdout


@pytest.mark.integration
def test_create_creates_what_is_missing_once(stack: SessionStack, env: dict[str, str], topic_prefix: str) -> None:
    cosmo = Cosmo(env)
    assert set(cosmo.json("topics", "create", "--partitions", "2")["created"]) == {
        topic_prefix + name for name in EVERY
    }
    assert cosmo("topics", "create").stdout == "Every topic exists.\n"
