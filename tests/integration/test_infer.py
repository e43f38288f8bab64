"""The infer worker on a real broker: every pair ends in its intents or in the dead letters, whatever the model does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cosmo.runtime.settings import Settings
from inference.entities import entities_of
from inference.judged import judge
from inference.pairs import pair_of
from schemas.records import BehaviorPair, PairKind
from streams.kafka.admin import create_topics
from tests.inference.examples import CHIPS, SODA, co_buy, pair, request, scripted
from tests.integration.infer_harness import infer_all, read_all, reason, send, send_raw, written
from tests.support.scripted_model import ScriptedModel, scripted_model

pytestmark = pytest.mark.integration


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with scripted_model() as model:
        yield model


@pytest.fixture
def ready(settings: Settings, model: ScriptedModel) -> Settings:
    create_topics(settings)
    changes = {"lm_url": model.url, "commit_interval_s": 0.2, "lm_batch_wait_s": 0.05, "infer_fetch_records": 20}
    return settings.model_copy(update=changes)


def many(count: int) -> list[BehaviorPair]:
    """Searches and baskets by turns."""
    return [
        pair(pair_id=f"p{n}", query=f"query {n}")
        if n % 2
        else co_buy(pair_id=f"p{n}", products=(SODA, CHIPS.__class__(product_id=f"x{n}", title=f"Chips {n}")))
        for n in range(count)
    ]


def expected_keys(pairs: list[BehaviorPair], relations: int) -> set[str]:
    judged = [judge(one, scripted(one, relations)) for one in pairs]
    return {f"{intent.intent_id}/{intent.pair_id}" for one in judged for intent in one.accepted}


async def test_every_pair_and_request_becomes_exactly_the_intents_that_the_model_gave(ready: Settings) -> None:
    pairs = many(60)
    send(ready, *pairs, request())
    await infer_all(ready)
    everything = [*pairs, pair_of(request())]
    intents = written(ready, "intents")
    assert {key for key, _ in intents} == expected_keys(everything, ready.infer_relations)
    assert len(intents) == len({key for key, _ in intents})  # nothing twice while nothing was redelivered
    rejected = written(ready, "rejected-intents")
    asked = sum(len(scripted(one, ready.infer_relations)) for one in everything)
    assert len(intents) + len(rejected) == asked
    assert all(key == refused.pair_id for key, refused in rejected)


async def test_each_intent_reaches_each_entity_of_its_pair(ready: Settings) -> None:
    send(ready, *many(20))
    await infer_all(ready)
    wanted = {
        (f"{kind}:{key}", intent.intent_id, intent.pair_id)
        for _, intent in written(ready, "intents")
        for kind, key in entities_of(intent)
    }
    found = {(key, one.intent.intent_id, one.intent.pair_id) for key, one in written(ready, "entity-intents")}
    assert found == wanted


async def test_a_prompt_that_breaks_the_model_is_dead_lettered_alone(ready: Settings, model: ScriptedModel) -> None:
    model.change(break_on="poison")
    good = many(30)
    send(ready, *good[:15], pair(pair_id="bad", query="poison ivy"), *good[15:])
    await infer_all(ready)
    (dead,) = read_all(ready, "behavior-pairs.dlq")
    assert (dead.key(), reason(dead)) == (b"bad", "prompt_breaks_model")
    assert {key for key, _ in written(ready, "intents")} == expected_keys(good, ready.infer_relations)


async def test_records_that_cannot_be_asked_about_are_dead_lettered_and_the_rest_goes_on(ready: Settings) -> None:
    send_raw(ready, "behavior-pairs", [("a", b"junk"), ("b", None)])
    send(ready, pair(pair_id="c", products=()), pair(pair_id="d", kind=PairKind.UNKNOWN), pair())
    await infer_all(ready)
    reasons = {message.key(): reason(message) for message in read_all(ready, "behavior-pairs.dlq")}
    assert reasons == {b"a": "wrong_magic", b"b": "null_value", b"c": "wrong_products", b"d": "unknown_pair_kind"}
    assert {key for key, _ in written(ready, "intents")} == expected_keys([pair()], ready.infer_relations)
