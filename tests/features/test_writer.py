"""The writer loses no update, writes nothing twice, and waits out a store that is away."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.merge import Change, evidence_key
from features.online import format as feast_format
from features.online.store import OnlineStore, Ref, Stored, Version
from features.online.writer import Writer, decode_state
from features.views import QUERY_INTENTS
from schemas.records import Intent
from tests.features.examples import NOW, TOP_3, changes, intent
from tests.features.memory_store import FailingStore, MemoryStore
from tests.features.store_contract import StoreContract

QUERY = Ref(QUERY_INTENTS, "umbrella for storms")
OTHER = intent(intent_id="i-2", pair_id="p-2", tail="hiking", tail_key="hiking")


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> OnlineStore:
        return MemoryStore()


def writer(store: OnlineStore) -> Writer:
    return Writer(store, TOP_3, now=lambda: NOW)


async def applied(store: OnlineStore, given_changes: Mapping[Ref, Sequence[Change]]) -> list[Version]:
    return (await writer(store).apply(given_changes)).versions


def coming(*found: Intent) -> dict[Ref, Sequence[Change]]:
    return {QUERY: [Change(intent=one) for one in found]}


def stored(store: MemoryStore) -> set[str]:
    return {one.intent_id for one in decode_state(QUERY, store.rows[QUERY]).entries}


async def test_two_writers_that_read_the_same_row_both_count() -> None:
    """The update of a paused writer's rival survives when the writer wakes up, and so does its own."""
    store = MemoryStore()
    rival = writer(store)
    await rival.apply(coming(intent()))

    def meanwhile() -> None:
        store.before_replace = lambda: None
        task = rival.apply(coming(OTHER))
        with pytest.raises(StopIteration):  # runs to its end at once: the memory store never waits
            task.send(None)

    store.before_replace = meanwhile
    await writer(store).apply(coming(intent(intent_id="i-3", pair_id="p-3", tail="rain", tail_key="rain")))
    assert stored(store) == {"i-1", "i-2", "i-3"}


async def test_a_merge_that_changes_nothing_writes_nothing() -> None:
    store = MemoryStore()
    (first,) = await applied(store, coming(intent()))
    (second,) = await applied(store, coming(intent()))
    assert store.replaced == 1
    assert second == first


async def test_the_event_timestamp_rises_with_every_change_even_if_the_clock_does_not() -> None:
    store = MemoryStore()
    at = [(await applied(store, coming(found)))[0].event_timestamp for found in (intent(), OTHER)]
    assert at == [NOW, NOW + timedelta(milliseconds=1)]


async def test_a_store_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cosmo.runtime.waiting.FIRST_PAUSE_S", 0.0)
    store = FailingStore(failures=5)
    await writer(store).apply(coming(intent()))
    assert stored(store) == {"i-1"}


async def test_a_write_whose_answer_was_lost_is_not_done_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cosmo.runtime.waiting.FIRST_PAUSE_S", 0.0)
    store = FailingStore(done_all_the_same=True)
    store.before_replace = lambda: setattr(store, "failures", 1) if not store.replaced else None
    (version,) = await applied(store, coming(intent()))
    assert version.event_timestamp == NOW
    assert store.replaced == 1


async def test_more_rows_than_fit_a_round_trip_are_all_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("features.online.writer.ROWS_PER_ROUND_TRIP", 2)
    store = MemoryStore()
    refs = [Ref(QUERY_INTENTS, f"q{number}") for number in range(5)]
    versions = await applied(store, {ref: [Change(intent=intent())] for ref in refs})
    assert [version.ref for version in versions] == refs
    assert set(store.rows) == set(refs)


async def test_a_retraction_is_remembered_where_feast_does_not_look() -> None:
    store = MemoryStore()
    await writer(store).apply(coming(intent()))
    await writer(store).apply({QUERY: [Change(intent=intent(), retracted=True)]})
    await writer(store).apply(coming(intent()))
    assert stored(store) == set()
    assert feast_format.retracted_field(QUERY_INTENTS) in store.rows[QUERY].fields


async def test_what_comes_late_is_told_with_what_stands_instead() -> None:
    store = MemoryStore()
    newer = intent(event_time=NOW, support=8)
    assert (await writer(store).apply(coming(intent(), newer))).overtaken == {}
    late = (await writer(store).apply(coming(intent()))).overtaken
    assert late == {evidence_key(newer): Change(intent=newer)}


async def test_what_was_retracted_and_comes_late_is_told_as_retracted() -> None:
    store = MemoryStore()
    await writer(store).apply({QUERY: [Change(intent=intent()), Change(intent=intent(), retracted=True)]})
    late = (await writer(store).apply(coming(intent()))).overtaken
    assert late == {evidence_key(intent()): Change(intent=intent(), retracted=True)}


async def test_a_row_that_feast_wrote_is_merged_into() -> None:
    """Somebody may have used Feast's own write; the version is then Feast's timestamp, and nothing else differs."""
    store = MemoryStore()
    later = feast_format.encode_timestamp(NOW + timedelta(days=1))
    store.rows[QUERY] = Stored(later, {})
    (version,) = await applied(store, coming(intent()))
    assert version.event_timestamp == NOW + timedelta(days=1, milliseconds=1)


@given(st.lists(changes(min_size=1), max_size=5), st.randoms())
def test_the_stored_features_do_not_depend_on_how_the_stream_was_cut(
    batches: list[list[Change]], random: object
) -> None:
    async def written(parts: list[list[Change]]) -> Stored:
        store = MemoryStore()
        for part in parts:
            await writer(store).apply({QUERY: part})
        return store.rows.get(QUERY, Stored(None, {}))

    at_once = asyncio.run(written([[change for batch in batches for change in batch]]))
    shuffled = random.sample(batches, len(batches))  # type: ignore[attr-defined]
    assert asyncio.run(written(shuffled)).fields == at_once.fields or not batches
