"""One row that cannot be read: all others are answered and written; it is named, left alone, and mended by the log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmo.runtime import health
from features.entities import slot_of
from features.errors import DamagedRow
from features.lookup import api
from features.lookup.answers import Status
from features.merge import Change, EntityState, merge
from features.online import format as feast_format
from features.online.store import Ref, Stored
from features.online.writer import Writer, decode_state
from features.views import PRODUCT_INTENTS, QUERY_INTENTS, Feature, Kind
from schemas.records import Intent
from tests.features.examples import NOW, TOP_3, intent
from tests.features.lookups import filled, reader
from tests.features.memory_store import MemoryStore

DAMAGED, WHOLE = Ref(QUERY_INTENTS, "umbrella for storms"), Ref(PRODUCT_INTENTS, "B01")
KNOWN = tuple(intent(intent_id=f"i-{n}", pair_id=f"p-{n}", tail=f"tail {n}", tail_key=f"tail {n}") for n in range(5))
"""More than is shown, so that there is a reserve."""
NEWS = intent(intent_id="i-9", pair_id="p-9", tail="hiking", tail_key="hiking")

Damage = Callable[[Stored], Stored]


def put(field: bytes, content: bytes) -> Damage:
    return lambda row: replace(row, fields={**row.fields, field: content})


def feature(name: str, content: bytes) -> Damage:
    return put(feast_format.field(QUERY_INTENTS, name), content)


def value(kind: Kind, content: Any) -> bytes:
    return feast_format.encode(Feature(name="any", kind=kind, doc=""), content)


def cut_off(name: str) -> Damage:
    field = feast_format.field(QUERY_INTENTS, name)
    return lambda row: replace(row, fields={**row.fields, field: row.fields[field][:-3]})


SEEN_BY_ALL: Mapping[str, Damage] = {
    "cut off": cut_off("intents"),
    "of another type": feature("relations", value(Kind.STRING, "used_for_eve")),
    "no value": feature("tails", b"\xff\xff\xff"),
    "no text": feature("model", value(Kind.STRING, "model").replace(b"del", b"d\xff\xff")),
    "lists of unequal length": feature("support", value(Kind.INTS, [1])),
    "a list that is missing": feature("typicality", b""),
    "a time out of range": feature("generated_times_ms", value(Kind.INTS, [2**62] * 3)),
    "no hash": lambda _: Stored(None, {}, damage="its key holds something else than a hash"),
}
SEEN_BY_WRITERS: Mapping[str, Damage] = {
    "evidence that is no JSON": feature("evidence", value(Kind.STRINGS, ["{"] * 3)),
    "evidence without members": feature("evidence", value(Kind.STRINGS, ["{}"] * 3)),
    "a reserve that is cut off": put(feast_format.reserve_field(QUERY_INTENTS), b'[["i-3"'),
    "a reserve of another form": put(feast_format.reserve_field(QUERY_INTENTS), b'{"i-3": 1}'),
    "retractions of another form": put(feast_format.retracted_field(QUERY_INTENTS), b'{"i-1/p-1": 7}'),
    "an event timestamp that is none": lambda row: replace(row, version=b"\xff\xff"),
}
EVERY = {**SEEN_BY_ALL, **SEEN_BY_WRITERS}


async def damaged(damage: Damage) -> MemoryStore:
    store = await filled(*KNOWN)
    store.rows[DAMAGED] = damage(store.rows[DAMAGED])
    return store


def writer(store: MemoryStore) -> Writer:
    return Writer(store, TOP_3, now=lambda: NOW)


@pytest.mark.parametrize("damage", SEEN_BY_ALL.values(), ids=SEEN_BY_ALL)
async def test_in_a_batch_the_damaged_row_is_named_and_the_others_are_answered(damage: Damage) -> None:
    store = await damaged(damage)
    answer = await reader(store).batch(["nothing", DAMAGED.key], [WHOLE.key], [])
    assert [one.status for one in answer.queries] == [Status.NONE, Status.DAMAGED]
    assert answer.products == [await reader(store).product(WHOLE.key)]
    refusal = answer.queries[1].refusal
    assert refusal is not None
    assert DAMAGED.key in refusal.error
    assert "cosmo features rebuild" in refusal.advice


@pytest.mark.parametrize("damage", SEEN_BY_ALL.values(), ids=SEEN_BY_ALL)
async def test_asked_for_alone_a_damaged_row_is_refused(damage: Damage) -> None:
    with pytest.raises(DamagedRow, match=DAMAGED.key):
        await reader(await damaged(damage)).query(DAMAGED.key)


@pytest.mark.parametrize("damage", EVERY.values(), ids=EVERY)
async def test_a_writer_leaves_a_damaged_row_as_it_is_and_writes_the_others(damage: Damage) -> None:
    """Merged into nothing, the news would pass for all that is known."""
    store = await damaged(damage)
    before = store.rows[DAMAGED]
    applied = await writer(store).apply({ref: [Change(intent=NEWS)] for ref in (DAMAGED, WHOLE)})
    assert set(applied.damaged) == {DAMAGED}
    assert store.rows[DAMAGED] == before
    assert [version.ref for version in applied.versions] == [WHOLE]
    assert NEWS in evidence_in(store, WHOLE)


@pytest.mark.parametrize("damage", EVERY.values(), ids=EVERY)
async def test_written_anew_a_row_is_what_it_would_be_had_nothing_happened(damage: Damage) -> None:
    store, undisturbed = await damaged(damage), await filled(*KNOWN)
    await writer(store).write_anew({DAMAGED: state(*KNOWN)})
    assert store.rows[DAMAGED].fields == undisturbed.rows[DAMAGED].fields
    assert (await reader(store).query(DAMAGED.key)).status is Status.FRESH


async def test_a_row_that_is_whole_again_keeps_what_it_has_when_it_is_to_be_written_anew() -> None:
    """Somebody else has mended it, and news came in since."""
    store = await filled(*KNOWN[:3], NEWS)
    await writer(store).write_anew({DAMAGED: state(*KNOWN)})
    assert store.rows[DAMAGED].fields == (await filled(*KNOWN, NEWS)).rows[DAMAGED].fields


def evidence_in(store: MemoryStore, ref: Ref) -> tuple[Intent, ...]:
    found = decode_state(ref, store.rows[ref])
    return (*found.entries, *found.reserve)


def state(*intents: Intent) -> EntityState:
    changes = [Change(intent=one) for one in intents]
    return merge(EntityState(), changes, slot_of=slot_of(DAMAGED.view, DAMAGED.key), rule=TOP_3)


@given(st.sampled_from([feature.name for feature in QUERY_INTENTS.features]), st.data())
def test_bytes_of_any_content_are_an_answer_or_a_damaged_row_and_nothing_else(name: str, data: st.DataObject) -> None:
    field = feast_format.field(QUERY_INTENTS, name)
    store = asyncio.run(filled(*KNOWN))
    good = store.rows[DAMAGED].fields[field]
    cut = data.draw(st.integers(0, len(good)))
    torn = st.sampled_from([good[:cut], good[cut:], good[:cut] + b"\x00" + good[cut:]])
    content = data.draw(st.one_of(st.binary(max_size=40), torn))
    store.rows[DAMAGED] = put(field, content)(store.rows[DAMAGED])
    for explain in (False, True):
        answer = asyncio.run(reader(store).batch([DAMAGED.key], [WHOLE.key], [], explain=explain))
        assert [one.status for one in answer.products] == [Status.FRESH]
    asyncio.run(writer(store).apply({DAMAGED: [Change(intent=NEWS)]}))


async def test_the_api_answers_a_batch_refuses_a_path_and_says_so_in_its_health(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(health, "_notes", {})
    store = await damaged(SEEN_BY_ALL["cut off"])
    app = api.create(reader(store), max_keys=5)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cosmo") as http:
        batch = await http.post("/v1/lookup", json={"queries": [DAMAGED.key], "products": [WHOLE.key]})
        alone = await http.get("/v1/queries/Umbrella%20for%20storms/intents")
        health_page = await http.get("/healthz")
        assert (batch.status_code, alone.status_code, health_page.status_code) == (200, 503, 200)
        assert batch.json()["queries"][0]["refusal"] == alone.json()
        assert batch.json()["queries"][0]["intents"] == []
        assert batch.json()["products"][0]["refusal"] is None
        assert DAMAGED.key in health_page.json()["notes"][0]
        assert 'cosmo_damaged_rows{view="query_intents"} 1.0' in (await http.get("/metrics")).text
        assert (await http.get("/readyz")).status_code == 200
        await writer(store).write_anew({DAMAGED: state(*KNOWN)})
        assert (await http.get("/v1/queries/Umbrella%20for%20storms/intents")).status_code == 200
        assert (await http.get("/healthz")).json() == {"healthy": True, "notes": []}
