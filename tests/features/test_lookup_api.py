"""The HTTP API without a network: paths, refusals, figures, description."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from features.lookup import api
from features.lookup.answers import ProductComplements, ProductIntents, QueryIntents
from schemas.records import Product
from tests.features.examples import co_buy, intent
from tests.features.lookups import filled, reader
from tests.features.memory_store import FailingStore, MemoryStore

ODD = ("a/b", "x/intents", "100% ?#&", "a+b", "ä 日本 🙂", "line\nfeed", '"', "..")


def client(store: MemoryStore, max_keys: int = 5) -> httpx.AsyncClient:
    app = api.create(reader(store), max_keys=max_keys)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cosmo")


@pytest.fixture
async def known() -> AsyncIterator[httpx.AsyncClient]:
    odd = [intent(products=(Product(product_id=key, title="Odd"),)) for key in ODD]
    store = await filled(intent(), co_buy(), *odd)
    async with client(store) as http:
        yield http


async def test_every_endpoint_answers_in_its_model(known: httpx.AsyncClient) -> None:
    query = await known.get("/v1/queries/Umbrella%20for%20storms/intents?explain=true")
    assert QueryIntents.model_validate_json(query.content).intents[0].why is not None
    product = await known.get("/v1/products/B01/intents")
    assert ProductIntents.model_validate_json(product.content).status == "fresh"
    complements = await known.get("/v1/products/B01/complements")
    assert [one.product_id for one in ProductComplements.model_validate_json(complements.content).complements] == [
        "B02"
    ]


async def test_nothing_known_is_an_answer_with_status_none(known: httpx.AsyncClient) -> None:
    answer = await known.get("/v1/products/B77/intents")
    assert (answer.status_code, answer.json()["status"], answer.json()["age_s"]) == (200, "none", None)


@pytest.mark.parametrize("key", ODD[:-1])
async def test_any_character_may_stand_in_a_path(known: httpx.AsyncClient, key: str) -> None:
    answer = await known.get(f"/v1/products/{quote(key, safe='')}/intents")
    assert (answer.json()["product_id"], answer.json()["status"]) == (key, "fresh")


@pytest.mark.parametrize("key", ODD)
async def test_any_character_may_stand_in_a_batch(known: httpx.AsyncClient, key: str) -> None:
    answer = await known.post("/v1/lookup", json={"products": [key]})
    assert [(one["product_id"], one["status"]) for one in answer.json()["products"]] == [(key, "fresh")]


async def test_a_batch_keeps_the_order_and_answers_an_empty_question(known: httpx.AsyncClient) -> None:
    asked = {"queries": ["a", "umbrella for storms"], "products": ["B02", "B01"], "complements": ["B02"]}
    answer = (await known.post("/v1/lookup", json=asked)).json()
    assert [one["status"] for one in answer["queries"]] == ["none", "fresh"]
    assert [one["status"] for one in answer["products"]] == ["none", "fresh"]
    assert [one["product_id"] for one in answer["complements"]] == ["B02"]
    assert (await known.post("/v1/lookup", json={})).json() == {"queries": [], "products": [], "complements": []}


@pytest.mark.parametrize(
    "body",
    [
        {"queries": ["a"] * 3, "products": ["b"] * 3},
        {"queries": ["x" * 513]},
        {"queries": [""]},
        {"complements": ["B01", " \u200b"]},
        {"queries": [1]},
        {"query": ["a"]},
        [],
        b"{",
        rb'{"queries": ["\ud800"]}',
    ],
    ids=["too-many", "too-long", "empty", "blank", "number", "unknown-field", "list", "no-json", "lone-surrogate"],
)
async def test_a_question_that_cannot_be_answered_is_422_with_a_sentence(known: httpx.AsyncClient, body: Any) -> None:
    given = {"content": body} if isinstance(body, bytes) else {"json": body}
    answer = await known.post("/v1/lookup", headers={"Content-Type": "application/json"}, **given)
    assert answer.status_code == 422
    assert set(answer.json()) == {"error", "advice"}


async def test_a_key_that_is_too_long_for_a_path_is_422(known: httpx.AsyncClient) -> None:
    answer = await known.get(f"/v1/queries/{'x' * 513}/intents")
    assert answer.status_code == 422
    assert "512 characters" in answer.json()["error"]


@pytest.mark.parametrize("key", [" ", "\t\n", "\u200b", "\x00", "\u00ad \u3000"])
@pytest.mark.parametrize("path", ["queries/{}/intents", "products/{}/intents", "products/{}/complements"])
async def test_a_key_of_which_nothing_can_be_seen_is_422_and_not_nothing_known(
    known: httpx.AsyncClient, path: str, key: str
) -> None:
    answer = await known.get(f"/v1/{path.format(quote(key))}")
    assert (answer.status_code, "nothing of this key can be seen" in answer.json()["error"]) == (422, True)


@pytest.mark.parametrize("path", ["queries/a/intents", "products/B01/intents", "products/B01/complements"])
async def test_a_misspelt_option_is_422_and_named(known: httpx.AsyncClient, path: str) -> None:
    """Ignored, it would look as if there were no explanation to give."""
    answer = await known.get(f"/v1/{path}?explian=true")
    assert (answer.status_code, "explian" in answer.json()["error"]) == (422, True)
    assert (await known.get(f"/v1/{path}?explain=true")).status_code == 200


async def test_json_that_is_not_called_json_is_told_what_to_call_itself(known: httpx.AsyncClient) -> None:
    """It is what `curl -d` sends."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await known.post("/v1/lookup", headers=form, content=b'{"queries": ["a"]}')
    assert (answer.status_code, answer.json()["advice"]) == (
        422,
        "Send JSON, with the header Content-Type: application/json.",
    )


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/", 404), ("GET", "/v1/lookup", 405)])
async def test_a_place_where_nothing_is_says_so_as_every_refusal_does(
    known: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await known.request(method, path)
    assert answer.status_code == status
    assert answer.json()["error"].startswith(f"{method} {path}: ")
    assert "openapi.json" in answer.json()["advice"]


async def test_without_redis_there_is_no_answer_and_readiness_says_so() -> None:
    async with client(FailingStore(failures=100)) as http:
        for path in ("/v1/queries/a/intents", "/readyz"):
            answer = await http.get(path)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
            assert answer.json()["error"] == "The store is down."
        assert (await http.get("/healthz")).status_code == 200


async def test_an_emptied_redis_is_503_until_it_is_rebuilt() -> None:
    store = MemoryStore()
    async with client(store) as http:
        answer = await http.get("/v1/queries/a/intents")
        assert (answer.status_code, "cosmo features rebuild" in answer.json()["advice"]) == (503, True)
        await store.mark_applied("any")
        assert (await http.get("/readyz")).status_code == 200


async def test_answers_are_counted_by_status(known: httpx.AsyncClient) -> None:
    before = await counted(known)
    await known.post("/v1/lookup", json={"queries": ["umbrella for storms", "?", "?"]})
    after = await counted(known)
    assert (after["fresh"] - before["fresh"], after["none"] - before["none"]) == (1, 2)


async def counted(http: httpx.AsyncClient) -> dict[str, float]:
    families = text_string_to_metric_families((await http.get("/metrics")).text)
    samples = [sample for family in families for sample in family.samples if sample.name == "cosmo_lookups_total"]
    of_batch = {one.labels["status"]: one.value for one in samples if one.labels["endpoint"] == "batch"}
    return {"fresh": 0.0, "none": 0.0} | of_batch


async def test_the_description_names_every_path_and_refusal(known: httpx.AsyncClient) -> None:
    paths = (await known.get("/openapi.json")).json()["paths"]
    lookups = {path: next(iter(methods.values())) for path, methods in paths.items() if path.startswith("/v1/")}
    assert set(lookups) == {
        "/v1/queries/{query}/intents",
        "/v1/products/{product_id}/intents",
        "/v1/products/{product_id}/complements",
        "/v1/lookup",
    }
    assert all({"200", "422", "503"} <= set(operation["responses"]) for operation in lookups.values())
