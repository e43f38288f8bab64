"""The real registry passes the contract that the dictionary passes, and keeps our compatibility levels."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from cosmo.cli.schemas import app
from cosmo.runtime.settings import Settings, settings
from schemas import avsc
from schemas.avsc import AvroSchema
from schemas.compatibility import level
from schemas.errors import NotRegistered, RegistryRefused
from schemas.registry import Registry
from tests.schemas.registry_contract import FOREIGN, RegistryContract

pytestmark = pytest.mark.integration


@pytest.fixture
def url(stack: Any) -> str:
    return str(stack.schema_registry_url)


@pytest.fixture
def empty(url: str, topic_prefix: str) -> Iterator[Registry]:
    """A registry in which nothing of this test's prefix is registered yet."""
    made = Registry(Settings(schema_registry_url=url, topic_prefix=topic_prefix))
    yield made
    made.close()


@pytest.fixture
def publish(url: str, topic_prefix: str) -> Callable[[AvroSchema], int]:
    def register(schema: AvroSchema) -> int:
        answer = httpx.post(f"{url}/subjects/{topic_prefix}foreign-value/versions", json={"schema": avsc.text(schema)})
        return int(answer.raise_for_status().json()["id"])

    return register


class TestRealRegistry(RegistryContract):
    @pytest.fixture
    def registry(self, empty: Registry) -> Registry:
        for topic in avsc.topics():
            empty.register(topic)
        return empty

    @pytest.fixture
    def publish(self, publish: Callable[[AvroSchema], int]) -> Callable[[AvroSchema], int]:
        return publish


def test_a_lookup_never_registers(empty: Registry) -> None:
    for _ in range(2):
        with pytest.raises(NotRegistered):
            empty.schema_id("intents")


def test_registering_twice_is_registering_once(empty: Registry) -> None:
    assert empty.register("intents") == empty.register("intents")
    assert empty.schema_id("intents") == empty.register("intents")[-1]


@pytest.mark.parametrize("topic", ["co-purchase", "intents"])
def test_the_level_is_set_and_kept(empty: Registry, url: str, topic: str) -> None:
    empty.register(topic)
    answer = httpx.get(f"{url}/config/{empty.subject(topic)}").raise_for_status().json()
    assert answer["compatibilityLevel"] == level(topic).value


def test_the_registry_itself_refuses_what_would_break_the_level(empty: Registry, url: str) -> None:
    empty.register("co-purchase")
    broken = avsc.load("co-purchase") | {"fields": avsc.load("co-purchase")["fields"][1:]}
    answer = httpx.post(f"{url}/subjects/{empty.subject('co-purchase')}/versions", json={"schema": avsc.text(broken)})
    assert answer.status_code == 409


def test_an_incompatible_history_is_refused_with_advice(empty: Registry, url: str) -> None:
    """Somebody has registered another schema under our subject: we must not write beside it."""
    httpx.post(f"{url}/subjects/{empty.subject('co-purchase')}/versions", json={"schema": avsc.text(FOREIGN)})
    with pytest.raises(RegistryRefused, match="cosmo schemas check"):
        empty.register("co-purchase")


def test_the_command_registers_everything_and_may_be_run_again(
    url: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHEMA_REGISTRY_URL", url)
    monkeypatch.setenv("COSMO_TOPIC_PREFIX", topic_prefix)
    settings.cache_clear()
    try:
        first, second = (CliRunner().invoke(app, ["register", "--json"]).stdout for _ in range(2))
    finally:
        settings.cache_clear()
    assert first == second
    assert {row["subject"] for row in json.loads(first)} == {f"{topic_prefix}{topic}-value" for topic in avsc.topics()}
