"""Relations, templates and quoting: what is asked of which pair, and that shoppers' text stays text."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference import relations, templates
from inference.normalize import key_of
from inference.pairs import UnusablePair, check, pair_of, prompts_of
from inference.quoting import MAX_CHARS, quoted
from schemas.records import BehaviorPair, IntentRequest, PairKind, Product
from tests.inference.examples import CHIPS, SODA, co_buy, pair, request

KINDS = (PairKind.SEARCH_BUY, PairKind.CO_BUY, PairKind.SEARCH)
ANY_TEXT = st.text(max_size=200)


def of_kind(kind: PairKind, number: int = 0) -> BehaviorPair:
    if kind is PairKind.CO_BUY:
        return co_buy(pair_id=f"p{number}")
    return pair(pair_id=f"p{number}", kind=kind, products=(SODA,) if kind is PairKind.SEARCH_BUY else ())


def test_there_are_the_fifteen_relations_of_the_paper() -> None:
    assert len(relations.all_relations()) == 15
    assert len({relation.paper_name for relation in relations.all_relations().values()}) == 15


@pytest.mark.parametrize("kind", KINDS)
def test_every_relation_that_suits_a_kind_has_a_template_of_it(kind: PairKind) -> None:
    for number in range(200):
        for relation in relations.choose(of_kind(kind, number), 15):
            assert templates.choose(of_kind(kind, number), relation).kind is kind


def test_every_template_is_of_a_relation_that_suits_its_kind() -> None:
    for template in templates.all_templates().values():
        assert template.kind in relations.all_relations()[template.relation].suits


@pytest.mark.parametrize("kind", KINDS)
@given(count=st.integers(0, 20), number=st.integers(0, 1000))
def test_the_same_pair_is_always_asked_the_same_and_nothing_twice(kind: PairKind, count: int, number: int) -> None:
    chosen = relations.choose(of_kind(kind, number), count)
    assert relations.choose(of_kind(kind, number), count) == chosen
    assert len(set(chosen)) == len(chosen) <= count
    assert relations.choose(of_kind(kind, number), count + 1)[: len(chosen)] == chosen


def test_relations_come_up_as_often_as_their_weights_say() -> None:
    first = Counter(relations.choose(of_kind(PairKind.SEARCH_BUY, number), 1)[0] for number in range(4000))
    suits = {
        name: relation.suits[PairKind.SEARCH_BUY]
        for name, relation in relations.all_relations().items()
        if PairKind.SEARCH_BUY in relation.suits and not relation.about
    }
    total = sum(suits.values())
    for name, weight in suits.items():
        assert first[name] / 4000 == pytest.approx(weight / total, abs=0.025)


def test_a_relation_about_the_body_is_only_asked_where_the_body_is_spoken_of() -> None:
    soap = Product(product_id="1", title="Hand soap")
    assert "used_in_body" not in relations.choose(pair(), 15)
    assert "used_in_body" in relations.choose(pair(products=(soap,)), 15)


@pytest.mark.parametrize("template", templates.all_templates().values(), ids=lambda template: template.template_id)
def test_a_prompt_begins_with_its_constant_part_and_ends_in_the_words_that_force_its_relation(
    template: templates.Template,
) -> None:
    prompt = template.prompt(of_kind(template.kind))
    assert prompt.text.startswith(template.constant)
    assert prompt.text == prompt.text.rstrip()
    assert "{" not in prompt.text
    assert len(prompt.text) < 1_500  # 1,024 tokens hold it with its answer
    assert len(template.example_tails) >= 2
    assert templates.example_keys(template.template_id) == {key_of(tail) for tail in template.example_tails}


@given(ANY_TEXT)
def test_quoted_text_is_one_line_in_two_quotes_whatever_is_typed(text: str) -> None:
    shown = quoted(text)
    assert shown[0] == shown[-1] == '"'
    inside = shown[1:-1]
    assert not re.search(r'["“”«»<>\[\]{}|\\`\x00-\x1f\x7f-\x9f\u2028\u2029]', inside)
    assert len(inside) <= MAX_CHARS
    assert quoted(inside) == shown


@given(ANY_TEXT)
def test_shoppers_text_cannot_change_the_form_of_a_prompt(query: str) -> None:
    asked = pair(query=query, products=(Product(product_id="1", title=query),))
    (prompt,) = prompts_of(asked, 1)
    template = templates.all_templates()[prompt.template_id]
    mine = prompt.text.removeprefix(template.constant)
    assert len(mine.splitlines()) == 3
    assert mine.count('"') == 4


@given(ANY_TEXT)
def test_a_key_is_its_own_key_and_blind_to_case_and_articles(text: str) -> None:
    key = key_of(text)
    assert key_of(key) == key
    assert key_of(f"The {key}!") == key


@pytest.mark.parametrize(("broken", "reason"), [
    (pair(kind=PairKind.UNKNOWN), "unknown_pair_kind"),
    (pair(products=()), "wrong_products"),
    (pair(products=(SODA, CHIPS)), "wrong_products"),
    (co_buy(products=(SODA,)), "wrong_products"),
    (pair(pair_id=""), "empty_pair_id"),
    (pair(query=None), "empty_query"),
    (pair(query="  "), "empty_query"),
    (pair(products=(Product(product_id="1", title=" "),)), "empty_product"),
    (pair(products=(Product(product_id="", title="Soap"),)), "empty_product"),
    (pair_of(request(query=None)), "empty_query"),
    (pair_of(request(kind=PairKind.UNKNOWN)), "unknown_pair_kind"),
])  # fmt: skip
def test_a_pair_that_does_not_hold_what_its_kind_promises_cannot_be_used(broken: BehaviorPair, reason: str) -> None:
    with pytest.raises(UnusablePair) as caught:
        check(broken)
    assert caught.value.reason == reason


@pytest.mark.parametrize("good", [pair(), co_buy(), pair_of(request())])
def test_a_whole_pair_can_be_used(good: BehaviorPair) -> None:
    check(good)
    assert len(prompts_of(good, 4)) == 4


def test_requests_for_the_same_thing_are_the_same_pair_and_others_are_not() -> None:
    same = {pair_of(one).pair_id for one in (request(), request(request_id="r2", locale="en-US"))}
    others: list[IntentRequest] = [request(query="cups"), request(kind=PairKind.SEARCH_BUY, products=(SODA,))]
    assert len(same) == 1
    assert len(same | {pair_of(one).pair_id for one in others}) == 3
