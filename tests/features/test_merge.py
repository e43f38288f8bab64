"""The merge is a semilattice: whatever the order, the repetition or the cut into batches, the features are the same."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from features.entities import slot_of
from features.merge import MAX_RETRACTIONS, Change, EntityState, MergeRule, evidence_key, merge
from features.rank import RankRule
from features.views import PRODUCT_COMPLEMENTS, QUERY_INTENTS
from schemas.records import Intent
from tests.features.examples import BOOTS, NOW, TENT, TOP_3, WEEK_S, changes, changes_and_retractions, co_buy, intent

EMPTY = EntityState()
REASON = slot_of(QUERY_INTENTS, "umbrella for storms")
WIDE = MergeRule(top_k=1000, rank=RankRule(half_life_s=WEEK_S))


def merged(*batches: Sequence[Change], state: EntityState = EMPTY, rule: MergeRule = TOP_3) -> EntityState:
    for batch in batches:
        state = merge(state, batch, slot_of=REASON, rule=rule)
    return state


def coming(*found: Intent) -> list[Change]:
    return [Change(intent=one) for one in found]


def going(*found: Intent) -> list[Change]:
    return [Change(intent=one, retracted=True) for one in found]


@given(changes(), st.randoms())
def test_order_does_not_matter(given_changes: list[Change], random: Any) -> None:
    shuffled = random.sample(given_changes, len(given_changes))
    assert merged(shuffled) == merged(given_changes)


@given(changes(), st.data())
def test_repetition_does_not_matter(given_changes: list[Change], data: st.DataObject) -> None:
    again = data.draw(st.lists(st.sampled_from(given_changes))) if given_changes else []
    assert merged(given_changes, again) == merged(given_changes)


@given(changes(), st.lists(st.integers(0, 20), max_size=4))
def test_cutting_to_the_top_after_every_batch_is_exact(given_changes: list[Change], cuts: list[int]) -> None:
    bounds = [0, *sorted(cuts), len(given_changes)]
    batches = [given_changes[start:end] for start, end in pairwise(bounds)]
    assert merged(*batches) == merged(given_changes)


@given(changes(), changes())
def test_two_writers_states_merge_to_what_one_would_have_made(one: list[Change], other: list[Change]) -> None:
    theirs = merged(other).entries
    assert merged(one, coming(*theirs)) == merged(one, other)


@given(changes_and_retractions(), changes_and_retractions())
def test_what_was_retracted_never_comes_back(before: list[Change], after: list[Change]) -> None:
    void: dict[str, datetime] = {}
    for change in (*before, *after):
        if change.retracted:
            key = evidence_key(change.intent)
            void[key] = max(void.get(key, change.intent.generated_time), change.intent.generated_time)
    for entry in merged(before, after).entries:
        assert evidence_key(entry) not in void or entry.generated_time > void[evidence_key(entry)]


VERSIONS = st.builds(
    lambda tail, second, gone: Change(
        intent=intent(intent_id=f"i-{tail}", tail_key=tail, generated_time=NOW + timedelta(seconds=second)),
        retracted=gone,
    ),
    st.sampled_from("abc"),
    st.integers(0, 3),
    st.booleans(),
)


@given(st.lists(VERSIONS, max_size=12), st.randoms())
def test_retractions_are_free_of_order_where_no_runner_up_was_displaced(versions: list[Change], random: Any) -> None:
    """A runner-up is not stored, so it cannot come forward; where each slot has one pair, there is none."""
    assert merged(random.sample(versions, len(versions)), rule=WIDE) == merged(versions, rule=WIDE)


def test_of_one_reason_the_best_ranked_evidence_is_kept() -> None:
    weak, strong = intent(pair_id="p-weak", support=2), intent(pair_id="p-strong", support=50)
    assert merged(coming(strong, weak)).entries == (strong,)


def test_equal_ranks_are_decided_by_the_newest_answer() -> None:
    old = intent(pair_id="p-2")
    new = intent(pair_id="p-1", generated_time=NOW)
    assert merged(coming(old, new)).entries == (new,)


def test_entries_are_kept_best_first() -> None:
    found = [intent(intent_id=f"i{n}", tail_key=f"t{n}", support=2**n) for n in range(5)]
    assert merged(coming(*found)).entries == (found[4], found[3], found[2])


def test_a_retraction_removes_only_the_evidence_it_names() -> None:
    kept, gone = intent(), intent(intent_id="i-2", pair_id="p-1", tail="hiking", tail_key="hiking")
    assert merged(coming(kept, gone), going(gone)).entries == (kept,)


def test_evidence_newer_than_its_retraction_counts() -> None:
    asked_again = intent(generated_time=NOW + timedelta(hours=1))
    assert merged(going(intent()), coming(asked_again)).entries == (asked_again,)


def test_a_late_writer_does_not_bring_back_what_was_retracted() -> None:
    assert merged(coming(intent()), going(intent()), coming(intent())).entries == ()


def test_retractions_are_bounded_and_the_newest_stay() -> None:
    many = [intent(intent_id=f"i{n:03}", generated_time=NOW + timedelta(seconds=n)) for n in range(MAX_RETRACTIONS + 5)]
    state = merged(going(*many))
    assert len(state.retracted) == MAX_RETRACTIONS
    assert evidence_key(many[-1]) in state.retracted
    assert evidence_key(many[0]) not in state.retracted


def test_each_complement_appears_once_with_its_best_reason() -> None:
    """Eight reasons for one product must not crowd out seven other products."""
    breakfast = co_buy(BOOTS, intent_id="i-a", tail_key="rain", support=9)
    lunch = co_buy(BOOTS, intent_id="i-b", tail_key="mud", support=5)
    same_reason = co_buy(TENT, intent_id="i-c", tail_key="rain", support=3)
    state = merge(EMPTY, coming(breakfast, lunch, same_reason), slot_of=slot_of(PRODUCT_COMPLEMENTS, "B01"), rule=TOP_3)
    assert state.entries == (breakfast, same_reason)
