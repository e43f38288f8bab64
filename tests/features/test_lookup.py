"""What a reader is told: the values that were written, how old they are, and why."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

import pytest

from features.errors import NotApplied, StoreUnreachable
from features.lookup.answers import Status
from features.lookup.reader import READS_IN_FLIGHT
from features.lookup.sentences import because, old
from features.merge import Change
from features.online.store import Ref, Stored
from features.online.writer import Writer
from features.views import QUERY_INTENTS, View
from tests.features.examples import BOOTS, NOW, TENT, TOP_3, UMBRELLA, WEEK_S, co_buy, intent
from tests.features.lookups import filled, reader
from tests.features.memory_store import MemoryStore

AGE = timedelta(minutes=5)  # of the examples' intents


async def test_a_query_is_found_however_it_is_typed() -> None:
    known = reader(await filled(intent()))
    for typed in ("umbrella for storms", "  UMBRELLA\tfor  storms", "ｕmbrella for\u200b storms"):
        answer = await known.query(typed)
        assert (answer.query, answer.status) == ("umbrella for storms", Status.FRESH)
        assert [found.text for found in answer.intents] == ["used for walking the dog"]


async def test_an_answer_says_everything_that_was_stored() -> None:
    answer = await reader(await filled(intent())).query("umbrella for storms")
    (found,) = answer.intents
    assert (found.relation, found.tail) == ("used_for_eve", "walking the dog")
    assert (found.plausibility, found.typicality, found.support) == (0.75, 0.6, 4)
    assert (answer.specificity, answer.product_types) == (0.4, ["umbrella", "raincoat"])
    assert (answer.model, answer.updated_at) == ("smollm2-135m", NOW - AGE)


async def test_an_answer_is_as_old_as_its_newest_intent() -> None:
    newer = intent(intent_id="i-2", tail="hiking", tail_key="hiking", generated_time=NOW - timedelta(seconds=7))
    answer = await reader(await filled(intent(), newer)).query("umbrella for storms")
    assert answer.age_s == 7.0


async def test_typicality_that_nobody_judged_is_null() -> None:
    """Also in JSON, which has no word for what stands in the store."""
    answer = await reader(await filled(intent(typicality=None))).query("umbrella for storms")
    assert answer.intents[0].typicality is None
    assert '"typicality":null' in answer.model_dump_json()


@pytest.mark.parametrize(("later_s", "status"), [(WEEK_S - 301, Status.FRESH), (WEEK_S - 299, Status.STALE)])
async def test_what_is_old_is_served_and_called_stale(later_s: float, status: Status) -> None:
    known = reader(await filled(intent()), now=lambda: NOW + timedelta(seconds=later_s))
    answer = await known.query("umbrella for storms")
    assert (answer.status, len(answer.intents)) == (status, 1)


async def test_a_reader_whose_clock_is_behind_sees_no_negative_age() -> None:
    answer = await reader(await filled(intent()), now=lambda: NOW - timedelta(hours=1)).query("umbrella for storms")
    assert answer.age_s == 0.0


async def test_nothing_known_is_said_and_every_figure_is_null() -> None:
    known = reader(await filled())
    query, product, complements = await known.query("?"), await known.product("?"), await known.complements("?")
    assert {query.status, product.status, complements.status} == {Status.NONE}
    assert (query.age_s, query.model, query.updated_at, query.specificity) == (None, None, None, None)
    assert (query.intents, query.product_types, product.subcategories, complements.complements) == ([], [], [], [])


async def test_what_was_retracted_altogether_is_not_known_any_more() -> None:
    store = await filled(intent())
    gone = {Ref(QUERY_INTENTS, "umbrella for storms"): [Change(intent=intent(), retracted=True)]}
    await Writer(store, TOP_3, now=lambda: NOW).apply(gone)
    assert (await reader(store).query("umbrella for storms")).status is Status.NONE


async def test_a_product_has_its_title_type_and_subcategories() -> None:
    answer = await reader(await filled(intent())).product("B01")
    assert (answer.title, answer.product_type) == (UMBRELLA.title, "umbrella")
    assert answer.subcategories == ["umbrella used for walking the dog"]


async def test_complements_name_the_other_product_and_an_unknown_type_is_null() -> None:
    answer = await reader(await filled(co_buy(BOOTS), co_buy(TENT, support=9))).complements("B01")
    found = [(one.product_id, one.title, one.product_type) for one in answer.complements]
    assert found == [("B03", "Dome tent", "tent"), ("B02", "Rain boots", None)]


async def test_without_explain_there_is_no_why() -> None:
    answer = await reader(await filled(intent())).query("umbrella for storms")
    assert answer.intents[0].why is None


async def test_explain_names_the_pair_its_products_template_and_scores() -> None:
    answer = await reader(await filled(intent())).query("umbrella for storms", explain=True)
    why = answer.intents[0].why
    assert why is not None
    assert why.sentence == (
        "4 sessions had searched “umbrella for storms” and bought “Windproof umbrella” when the model was asked; "
        "it answered on 2026-03-01."
    )
    assert (why.intent_id, why.pair_id, why.template_id) == ("i-1", "p-1", "search_buy.used_for_eve.1")
    assert [product.product_id for product in why.products] == ["B01"]
    assert (why.specificity, why.product_types, why.scores) == (0.4, ["umbrella", "raincoat"], {"mean_logprob": -1.25})
    assert (why.event_time, why.generated_time) == (NOW - timedelta(minutes=10), NOW - AGE)


async def test_explain_changes_nothing_else() -> None:
    known = reader(await filled(intent(), co_buy()))
    for key in ("B01", "B02"):
        plain, explained = await known.complements(key), await known.complements(key, explain=True)
        assert explained.model_dump(exclude={"complements": {"__all__": {"why"}}}) == plain.model_dump(
            exclude={"complements": {"__all__": {"why"}}}
        )


async def test_a_batch_gives_what_single_look_ups_give_in_the_order_asked() -> None:
    known = reader(await filled(intent(), co_buy()))
    answer = await known.batch(["nothing", "Umbrella for storms"], ["B01", "B77", "B01"], ["B02"], explain=True)
    assert answer.queries == [await known.query(text, explain=True) for text in ("nothing", "umbrella for storms")]
    assert answer.products == [await known.product(key, explain=True) for key in ("B01", "B77", "B01")]
    assert answer.complements == [await known.complements("B02", explain=True)]


async def test_an_emptied_store_is_not_taken_for_one_that_knows_nothing() -> None:
    with pytest.raises(NotApplied, match="emptied"):
        await reader(MemoryStore()).query("umbrella for storms")


async def test_features_applied_by_another_version_are_served() -> None:
    """A rolling upgrade must not stop the readers that are not upgraded yet."""
    store = await filled(intent())
    store.mark = "another"
    assert (await reader(store).query("umbrella for storms")).status is Status.FRESH


class StuckStore(MemoryStore):
    """Takes a read and never answers."""

    async def read_applied(
        self, refs: Sequence[Ref], features: Mapping[View, Collection[str]]
    ) -> tuple[str | None, list[Stored]]:
        await asyncio.Event().wait()
        raise AssertionError


async def test_look_ups_do_not_queue_without_bound_behind_a_redis_that_is_stuck(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("features.lookup.reader.READ_TIMEOUT_S", 0.01)
    stuck = reader(StuckStore())
    waiting = [asyncio.create_task(stuck.query("tent")) for _ in range(READS_IN_FLIGHT)]
    await asyncio.sleep(0)
    with pytest.raises(StoreUnreachable, match="Too many"):
        await stuck.query("tent")
    for task in waiting:
        task.cancel()


@pytest.mark.parametrize(
    ("query", "titles", "support", "sentence"),
    [
        ("rain gear", ["Umbrella"], 1, "1 session had searched “rain gear” and bought “Umbrella” when"),
        (None, ["Umbrella", "Boots"], 1200, "1,200 sessions had bought “Umbrella” together with “Boots” when"),
        ("rain gear", [], 0, "A reader had asked about “rain gear”, and no purchase was behind it when"),
    ],
)
def test_the_evidence_is_one_sentence_about_the_time_of_asking(
    query: str | None, titles: list[str], support: int, sentence: str
) -> None:
    """The count does not follow what came since; told in the present it would be wrong by the next purchase."""
    assert because(query, titles, support, NOW) == f"{sentence} the model was asked; it answered on 2026-03-01."


@pytest.mark.parametrize(
    ("age_s", "words"),
    [(0.2, "just made"), (1.0, "1 second old"), (150.0, "2 minutes old"), (90_000.0, "1 day old")],
)
def test_ages_are_words(age_s: float, words: str) -> None:
    assert old(age_s) == words
