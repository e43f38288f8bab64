"""The real Redis keeps the store's contract, and Feast's readers see what our writer wrote, as our own API does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from cosmo.runtime.deadline import Deadline
from cosmo.runtime.settings import Settings
from cosmo.stack.ports import Ports
from features import store as feast_store
from features.errors import NoRepository
from features.online.redis_store import connect
from features.online.store import OnlineStore
from features.store import opened
from features.views import SERVICES, VIEWS, Kind
from tests.features.examples import BOOTS, TENT, co_buy, intent
from tests.features.store_contract import StoreContract
from tests.integration.materialized import Log, materialize, prepare

pytestmark = pytest.mark.integration

QUERY = "umbrella for storms"
ROWS = [
    {"query": QUERY, "product_id": "B01"},
    {"query": "ünknown 傘", "product_id": "B77"},
    {"query": "no specificity", "product_id": "B02"},
]
INTENTS = [
    intent(),
    intent(intent_id="i-2", pair_id="p-2", relation="used_to", tail="stay dry", tail_key="stay dry", support=9),
    intent(intent_id="i-3", pair_id="p-3", head="no specificity", query="no specificity", specificity=None,
           products=(BOOTS,), product_types=()),
    co_buy(BOOTS),
    co_buy(TENT, plausibility=1.0, typicality=None),
]  # fmt: skip
"""A query whose specificity is null, products without a type, a typicality that nobody judged beside one that somebody
did, and entities of which nothing is known."""


class TestRedisStore(StoreContract):
    @pytest.fixture
    async def store(self, settings: Settings) -> AsyncIterator[OnlineStore]:
        store = connect(settings)
        yield store
        await store.close()


@pytest.fixture
def ready(settings: Settings, tmp_path: Path) -> Settings:
    return prepare(settings.model_copy(update={"home": tmp_path}))


def test_whoever_opens_the_store_from_a_directory_that_has_none_is_told_where_it_was_looked_for(
    tmp_path: Path,
) -> None:
    nowhere = opened(Settings(home=tmp_path, topic_prefix=""))
    with pytest.raises(NoRepository, match=f"no Feast repository in {tmp_path}/feast/cosmo") as told, nowhere:
        pytest.fail("there is nothing to open")
    assert "COSMO_HOME" in told.value.advice
    assert told.value.__cause__ is None
    assert list(tmp_path.iterdir()) == []


async def test_feasts_sdk_feasts_server_and_our_api_give_the_same_values(
    ready: Settings, env: dict[str, str], tmp_path: Path
) -> None:
    repository = (await feast_store.apply(ready)).directory
    Log(ready).write(INTENTS)
    await materialize(ready)
    env |= {"COSMO_HOME": str(tmp_path), "COSMO_LOOKUP_PORT": str(free_port())}
    with opened(ready) as store, feast_server(repository) as feast, lookup_server(env) as ours:
        for service in SERVICES:
            expected = [of_our_api(ours, service, row) for row in ROWS]
            assert of_sdk(store, service) == expected
            assert of_feast_server(feast, service) == expected


def of_sdk(store: Any, service: str) -> list[dict[str, Any]]:
    found = store.get_online_features(
        features=store.get_feature_service(service), entity_rows=entity_rows(service), full_feature_names=True
    )
    return by_row(service, found.to_dict())


def of_feast_server(server: httpx.Client, service: str) -> list[dict[str, Any]]:
    entities = {key: [row[key] for row in ROWS] for key in join_keys(service)}
    asked = {"feature_service": service, "entities": entities, "full_feature_names": True}
    answer = server.post("/get-online-features", json=asked).raise_for_status().json()
    names = answer["metadata"]["feature_names"]
    return by_row(service, {name: one["values"] for name, one in zip(names, answer["results"], strict=True)})


def of_our_api(server: httpx.Client, service: str, row: Mapping[str, str]) -> dict[str, Any]:
    """Our answers in the words of the feature service; what is not known is null."""
    asked = {"queries": [row["query"]], "products": [row["product_id"]], "complements": [row["product_id"]]}
    answer = server.post("/v1/lookup", json=asked).raise_for_status().json()
    views = {"query_intents": "queries", "product_intents": "products", "product_complements": "complements"}
    return {
        f"{view.name}__{feature}": in_our_answer(answer[views[view.name]][0], feature)
        for view, features in SERVICES[service]
        for feature in features
    }


PARALLEL = {
    "intents": "text", "relations": "relation", "tails": "tail", "plausibility": "plausibility",
    "typicality": "typicality", "support": "support", "complements": "product_id", "complement_titles": "title",
}  # fmt: skip


def in_our_answer(answer: dict[str, Any], feature: str) -> Any:
    if answer["status"] == "none":
        return None
    if feature in PARALLEL:
        found = answer["complements"] if "complements" in answer else answer["intents"]
        return [one[PARALLEL[feature]] for one in found]
    if feature == "updated_at":
        return datetime.fromisoformat(answer["updated_at"])
    return answer[feature]


def join_keys(service: str) -> set[str]:
    return {view.join_key for view, _ in SERVICES[service]}


def entity_rows(service: str) -> list[dict[str, str]]:
    return [{key: row[key] for key in join_keys(service)} for row in ROWS]


def by_row(service: str, columns: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    names = [f"{view.name}__{feature}" for view, features in SERVICES[service] for feature in features]
    return [{name: plain(name, columns[name][number]) for name in names} for number in range(len(ROWS))]


INSTANTS = {f"{view.name}__{one.name}" for view in VIEWS for one in view.features if one.kind is Kind.INSTANT}


def plain(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [None if one == "NaN" or one != one else one for one in value]  # noqa: PLR0124 - in JSON and in Python
    if name not in INSTANTS or value is None:
        return value
    # The SDK gives UTC without saying so, the server seconds since 1970.
    return datetime.fromtimestamp(value, UTC) if isinstance(value, int) else value.replace(tzinfo=UTC)


async def test_what_was_visible_at_a_time_is_what_feast_trains_on(ready: Settings) -> None:
    """A training row sees the features of its own time, never those that came later."""
    await feast_store.apply(ready)
    before = datetime.now(UTC)
    Log(ready).write([intent()], log=False)
    await materialize(ready)
    between = datetime.now(UTC)
    Log(ready).write([intent(intent_id="i-2", tail="hiking", tail_key="hiking", support=9)], log=False)
    await materialize(ready)
    after = datetime.now(UTC)
    asked = pd.DataFrame({"query": [QUERY] * 3, "event_timestamp": [before, between, after]})
    with opened(ready) as store:
        found = store.get_historical_features(
            entity_df=asked, features=["query_intents:tails", "query_intents:specificity"]
        )
    rows = found.to_df()
    tails = {row.event_timestamp.to_pydatetime(): list(row.tails) for row in rows.itertuples()}
    assert tails == {
        between: ["walking the dog"],
        after: ["hiking", "walking the dog"],
    }  # Feast drops a row without any


def test_a_second_server_on_the_port_is_refused_and_sigterm_ends_the_first(env: dict[str, str]) -> None:
    env |= {"COSMO_LOOKUP_PORT": str(free_port())}
    with lookup_server(env):
        second = subprocess.run(lookup_command(), check=False, env=env, capture_output=True, text=True, timeout=60.0)
        assert second.returncode == 1
        assert "Cannot listen on 127.0.0.1" in second.stderr


def free_port() -> int:
    return Ports.free(brokers=1).lm


def lookup_command() -> list[str]:
    return [sys.executable, "-m", "cosmo", "lookup", "serve"]


@contextmanager
def lookup_server(env: Mapping[str, str]) -> Iterator[httpx.Client]:
    """Our API as a process; it must end by SIGTERM, in time and with 0."""
    with serving(lookup_command(), env, int(env["COSMO_LOOKUP_PORT"]), "/healthz") as (client, child):
        yield client
        child.terminate()
        assert child.wait(30.0) == 0


@contextmanager
def feast_server(repository: Path) -> Iterator[httpx.Client]:
    """`feast serve` as a process; stopped gracefully it would wait half a minute for our connection."""
    port = free_port()
    feast = str(Path(sys.executable).parent / "feast")
    command = [feast, "-c", str(repository), "serve", "-h", "127.0.0.1", "-p", str(port)]
    with serving(command, os.environ, port, "/health") as (client, _):
        yield client


@contextmanager
def serving(
    command: list[str], env: Mapping[str, str], port: int, path: str
) -> Iterator[tuple[httpx.Client, subprocess.Popen[bytes]]]:
    child = subprocess.Popen(
        command, env=dict(env), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10.0) as client:
            wait_for(client, path, child)
            yield client, child
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def wait_for(client: httpx.Client, path: str, child: subprocess.Popen[bytes]) -> None:
    deadline = Deadline.after(90.0)
    while child.poll() is None and not deadline.expired:
        try:
            client.get(path).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"{child.args!r} does not answer ({child.returncode})")
