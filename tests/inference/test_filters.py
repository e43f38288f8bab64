"""Each filter refuses what it is named for and nothing else of these."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.filters import FILTERS, Proposal, reason_against
from inference.normalize import key_of
from inference.plausibility import plausibility
from inference.tail import tail_of
from schemas.records import BehaviorPair
from tests.inference.examples import candidate, co_buy, pair


def proposal(
    text: str,
    *,
    of: BehaviorPair | None = None,
    cut: bool = False,
    logprob: float = -0.5,
    earlier: tuple[str, ...] = (),
) -> Proposal:
    tail = tail_of(candidate(text, logprob, cut=cut))
    return Proposal(
        pair=of or pair(),
        tail=tail,
        tail_key=key_of(tail.text),
        plausibility=plausibility(tail.mean_logprob),
        examples=frozenset({key_of("walking the dog"), key_of("celebrating the new year")}),
        earlier=frozenset(map(key_of, earlier)),
    )


@pytest.mark.parametrize("text", [
    "drink something sweet without sugar", "people who want to lose weight", "a party in the backyard",
    "children's birthday parties", "losing weight", "a summer cookout", "people who exercise", "staying awake",
    "die Grillparty im Garten", "夏のバーベキュー",
])  # fmt: skip
def test_what_says_something_is_accepted(text: str) -> None:
    assert reason_against(proposal(text)) is None


@pytest.mark.parametrize(("text", "reason"), [
    ("", "empty"),
    ("...", "empty"),
    ("the", "empty"),
    ("making a party with the", "incomplete"),
    ("people who are", "incomplete"),
    ("not", "incomplete"),
    ("12", "too_short"),
    ("at 12", "too_short"),
    ("x" * 81, "too_long"),
    ("a b c d e f g h i j k l m", "too_long"),
    ('party "Search', "malformed"),
    ("see https //x", "malformed"),
    ("parties Product: chips", "malformed"),
    ("smoothies and smoothies", "repetitive"),
    ("party after party", "repetitive"),
    ("Walking the dog.", "copied"),
    ("people who walk dogs", None),
    ("walking many dogs", "copied"),
    ("celebrating the new moon", "copied"),
    ("celebrating in the garden", None),
    ("a bottle of soda", "echo"),
    ("people who want to use it", "vague"),
    ("many different purposes", "vague"),
    ("diet soda", "echo"),
    ("Diet sodas!", "echo"),
    ("a soft drink", "echo"),
    ("drinking a diet soda", "echo"),
    ("people who buy soft drinks", "echo"),
    ("12 packs of cans", "echo"),
])  # fmt: skip
def test_what_says_nothing_is_refused_by_name(text: str, reason: str | None) -> None:
    assert reason_against(proposal(text)) == reason


def test_a_cut_candidate_is_incomplete_whatever_it_says() -> None:
    assert reason_against(proposal("a party in the backyard", cut=True)) == "incomplete"


def test_the_same_tail_is_accepted_once() -> None:
    assert reason_against(proposal("A party in the backyard", earlier=("a party in a backyard!",))) == "duplicate"


def test_what_the_model_was_not_sure_of_is_implausible() -> None:
    assert reason_against(proposal("a party in the backyard", logprob=-4.0)) == "implausible"


def test_the_words_of_both_products_are_an_echo_of_a_pair() -> None:
    assert reason_against(proposal("chips and soft drinks", of=co_buy())) == "echo"
    assert reason_against(proposal("chips and soft drinks")) is None  # of the search, which knows no chips


@given(st.text(max_size=100), st.booleans(), st.floats(-9.0, 0.0))
def test_whatever_the_model_says_it_is_judged(text: str, cut: bool, logprob: float) -> None:
    assert reason_against(proposal(text, cut=cut, logprob=logprob)) in {None, *FILTERS}
