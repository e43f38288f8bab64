"""From answers to records: every candidate ends in one list, always the same."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from features.entities import check
from inference.entities import entities_of
from inference.judged import MAX_REJECTED_CHARS, judge
from inference.pairs import pair_of, prompts_of
from schemas.records import EntityIntent, HeadKind
from tests.inference.examples import CHIPS, SODA, answer, candidate, co_buy, pair, request

SAID = st.lists(
    st.sampled_from(["a party", "A party!", "diet soda", "", "losing weight", "the"]), min_size=1, max_size=3
)


@given(st.lists(SAID, min_size=1, max_size=4))
def test_every_candidate_is_accepted_or_refused_and_asking_again_gives_the_same(said: list[list[str]]) -> None:
    answered = list(zip(prompts_of(pair(), len(said)), [answer(*texts) for texts in said], strict=True))
    judged = judge(pair(), answered)
    assert len(judged.accepted) + len(judged.rejected) == sum(map(len, said))
    assert judge(pair(), answered) == judged
    keys = [intent.tail_key for intent in judged.accepted]
    assert len(set(keys)) == len(keys)


def test_an_intent_carries_its_pair_its_scores_and_where_it_came_from() -> None:
    (prompt,) = prompts_of(pair(), 1)
    (intent,) = judge(pair(), [(prompt, answer(candidate("losing weight", -1.0)))]).accepted
    assert (intent.head_kind, intent.head, intent.query) == (HeadKind.QUERY, "diet soda", "diet soda")
    assert (intent.relation, intent.template_id, intent.model_id) == (prompt.relation, prompt.template_id, "test-model")
    assert (intent.tail, intent.tail_key) == ("losing weight", "losing weight")
    assert (intent.support, intent.specificity, intent.product_types) == (5, 0.7, ("soft drinks",))
    assert intent.scores == {"mean_logprob": -1.0, "plausibility": intent.plausibility}
    assert 0.5 < intent.plausibility < 1.0


def test_typicality_that_nobody_judged_is_unknown_and_no_score() -> None:
    (prompt,) = prompts_of(pair(), 1)
    for logprob in (-0.1, -1.5):
        (intent,) = judge(pair(), [(prompt, answer(candidate("losing weight", logprob)))]).accepted
        assert intent.typicality is None
        assert "typicality" not in intent.scores


def test_a_refused_candidate_keeps_its_reason_and_its_scores() -> None:
    (prompt,) = prompts_of(co_buy(), 1)
    (refused,) = judge(co_buy(), [(prompt, answer(candidate("soft drinks", -1.0)))]).rejected
    assert (refused.reason, refused.tail, refused.product_ids) == ("echo", "soft drinks", ("826784", "902172"))
    assert refused.scores["mean_logprob"] == -1.0


def test_a_server_that_says_too_much_does_not_make_a_record_too_large() -> None:
    (prompt,) = prompts_of(pair(), 1)
    (refused,) = judge(pair(), [(prompt, answer("again and again " * 100_000))]).rejected
    assert len(refused.tail) == MAX_REJECTED_CHARS


def test_a_product_pair_is_one_head_whatever_the_order_of_its_products() -> None:
    (prompt,) = prompts_of(co_buy(), 1)
    answered = [(prompt, answer("a party in the garden"))]
    one = judge(co_buy(), answered).accepted[0]
    other = judge(co_buy(products=(CHIPS, SODA)), answered).accepted[0]
    assert (one.head_kind, one.head) == (HeadKind.PRODUCT_PAIR, "826784\n902172")
    assert one.intent_id == other.intent_id


def test_the_same_tail_of_two_pairs_is_one_intent_with_two_pieces_of_evidence() -> None:
    other = pair(pair_id="pair-9", products=(replace(SODA, product_id="7"),))
    (prompt,) = prompts_of(pair(), 1)
    first, second = (judge(one, [(prompt, answer("losing weight"))]).accepted[0] for one in (pair(), other))
    assert first.intent_id == second.intent_id
    assert first.pair_id != second.pair_id


def test_a_readers_request_has_no_support_and_never_the_id_of_a_pair() -> None:
    asked = pair_of(request())
    (prompt,) = prompts_of(asked, 1)
    (intent,) = judge(asked, [(prompt, answer("a summer picnic"))]).accepted
    assert (intent.support, intent.query, intent.products) == (0, "paper plates", ())
    assert asked.pair_id == pair_of(request(request_id="another")).pair_id


def test_the_features_take_every_intent_for_each_of_its_entities() -> None:
    for of in (pair(), co_buy(), pair_of(request())):
        (prompt,) = prompts_of(of, 1)
        for intent in judge(of, [(prompt, answer("a party in the garden"))]).accepted:
            for kind, key in entities_of(intent):
                check(EntityIntent(entity_kind=kind, entity_key=key, intent=intent))
