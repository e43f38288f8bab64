"""The merge is a semilattice: whatever the order, the repetition or the cut into batches, the features are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from features.entities import slot_of
from features.merge import (
    MAX_RETRACTIONS,
    RESERVE,
    Change,
    Edition,
    EntityState,
    MergeRule,
    content,
    edition,
    evidence_key,
    merge,
    overtaken,
    standing,
)
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


@given(changes_and_retractions(), st.randoms())
def test_order_does_not_matter(given_changes: list[Change], random: Any) -> None:
    shuffled = random.sample(given_changes, len(given_changes))
    assert merged(shuffled) == merged(given_changes)


@given(changes_and_retractions(), st.data())
def test_repetition_does_not_matter(given_changes: list[Change], data: st.DataObject) -> None:
    again = data.draw(st.lists(st.sampled_from(given_changes))) if given_changes else []
    assert merged(given_changes, again) == merged(given_changes)


@given(changes_and_retractions(), st.lists(st.integers(0, 20), max_size=4))
def test_cutting_to_the_top_after_every_batch_is_exact(given_changes: list[Change], cuts: list[int]) -> None:
    bounds = [0, *sorted(cuts), len(given_changes)]
    batches = [given_changes[start:end] for start, end in pairwise(bounds)]
    assert merged(*batches) == merged(given_changes)


@given(changes(), changes())
def test_two_writers_states_merge_to_what_one_would_have_made(one: list[Change], other: list[Change]) -> None:
    theirs = merged(other)
    assert merged(one, coming(*theirs.entries, *theirs.reserve)) == merged(one, other)


@given(changes_and_retractions())
def test_the_compacted_log_says_what_the_whole_log_says(given_changes: list[Change]) -> None:
    """Of each key only the last record is left, and of one that was retracted nothing."""
    in_order = sorted(
        given_changes, key=lambda change: (edition(change.intent), change.retracted, content(change.intent))
    )
    whole, left = merged(in_order), merged(compacted(in_order))
    assert (left.entries, left.reserve) == (whole.entries, whole.reserve)


def compacted(log: Sequence[Change]) -> list[Change]:
    """Of each key what came last, and nothing where that is a tombstone."""
    last = {evidence_key(change.intent): change for change in log}
    return [change for change in last.values() if not change.retracted]


@given(changes_and_retractions(), st.integers(1, 5))
def test_a_log_that_was_written_out_of_order_is_mended_until_it_says_what_the_stream_said(
    arriving: list[Change], at_once: int
) -> None:
    """A zombie writes after its successor, to the log and to the stream of entities. Compaction would keep the zombie's
    record; the newer is written again to both, and what arrives then is looked at like everything else."""
    log, stream, state = list(arriving), list(arriving), EMPTY
    for _ in range(3 * len(arriving) + 3):
        batch, stream = stream[:at_once], stream[at_once:]
        after = merged(batch, state=state)
        again = standing(after, overtaken(state, batch))
        log, stream, state = log + again, stream + again, after
    assert stream == []
    left = merged(compacted(log))
    assert (left.entries, left.reserve) == (state.entries, state.reserve)


def test_what_comes_in_order_is_written_once() -> None:
    old, new = intent(), intent(event_time=NOW, support=8)
    assert overtaken(EMPTY, coming(old, new, new)) == {}
    assert overtaken(merged(coming(old)), [*coming(new), *going(new)]) == {}


def test_older_evidence_with_a_newer_answer_does_not_lower_what_is_served() -> None:
    """A worker is stopped while the model answers; another asks about the pair again, which has grown; the first
    wakes, and its answer has the later time."""
    zombie = intent(support=4, event_time=NOW - timedelta(hours=1), generated_time=NOW + timedelta(minutes=1))
    grown = intent(support=8, event_time=NOW, generated_time=NOW)
    assert merged(coming(grown, zombie)).entries == merged(coming(zombie, grown)).entries == (grown,)
    assert standing(merged(coming(grown)), overtaken(merged(coming(grown)), coming(zombie))) == coming(grown)


@given(changes(min_size=5), st.lists(st.integers(0, 20), max_size=4))
def test_while_ranks_only_grow_the_cut_is_exact_without_any_reserve(found: list[Change], cuts: list[int]) -> None:
    growing = [
        Change(intent=replace(change.intent, typicality=0.5, support=number, event_time=NOW + timedelta(hours=number)))
        for number, change in enumerate(found, 1)
    ]
    bounds = [0, *sorted(cuts), len(growing)]
    state = EMPTY
    for start, end in pairwise(bounds):
        state = EntityState(entries=merged(growing[start:end], state=state).entries)
    assert state.entries == merged(growing).entries


@given(changes_and_retractions(), changes_and_retractions())
def test_what_was_retracted_never_comes_back(before: list[Change], after: list[Change]) -> None:
    void: dict[str, Edition] = {}
    for change in (*before, *after):
        if change.retracted:
            key = evidence_key(change.intent)
            void[key] = max(void.get(key, edition(change.intent)), edition(change.intent))
    for entry in merged(before, after).entries:
        assert evidence_key(entry) not in void or edition(entry) > void[evidence_key(entry)]


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


def test_a_newer_answer_counts_even_if_it_ranks_lower() -> None:
    """As in the compacted log, where the older one is gone."""
    old, new = intent(typicality=0.9, support=8), intent(typicality=0.5, support=8, generated_time=NOW)
    assert merged(coming(old, new)).entries == merged(coming(new, old)).entries == (new,)


def test_what_a_retraction_leaves_empty_is_filled_by_the_next_best() -> None:
    first, witness = intent(pair_id="p-1", support=9), intent(pair_id="p-2", support=8)
    others = [intent(intent_id=f"i{n}", tail_key=f"t{n}", support=n) for n in (7, 6, 5, 4)]
    state = merged(coming(first, witness, *others), going(first))
    assert state.entries == (witness, *others[:2])
    assert merged(going(witness), state=state).entries == tuple(others[:3])


def test_the_reserve_is_bounded_and_prefers_other_reasons_to_more_witnesses() -> None:
    many = [intent(pair_id=f"p{n}", support=1000 + n) for n in range(2 * RESERVE)]
    others = [intent(intent_id=f"i{n}", tail_key=f"t{n}", support=2 + n) for n in range(5)]
    state = merged(coming(*many, *others))
    assert len(state.reserve) == RESERVE
    assert state.reserve[:3] == (others[2], others[1], others[0])


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
