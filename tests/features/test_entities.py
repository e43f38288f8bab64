from __future__ import annotations

import math

import pytest

from features.entities import check, view_of
from features.errors import UnusableIntent
from features.views import PRODUCT_COMPLEMENTS, PRODUCT_INTENTS, QUERY_INTENTS
from inference.entities import entities_of
from schemas.records import EntityIntent, EntityKind, Intent
from tests.features.examples import UMBRELLA, co_buy, intent

QUERY, PRODUCT, UNKNOWN = EntityKind.QUERY, EntityKind.PRODUCT, EntityKind.UNKNOWN


def test_a_search_that_led_to_a_purchase_says_something_of_its_query_and_its_product() -> None:
    assert entities_of(intent()) == ((QUERY, "umbrella for storms"), (PRODUCT, "B01"))


def test_a_product_pair_says_something_of_both_products() -> None:
    assert entities_of(co_buy()) == ((PRODUCT, "B01"), (PRODUCT, "B02"))


def test_a_readers_question_without_products_says_something_of_its_query_only() -> None:
    assert entities_of(intent(products=())) == ((QUERY, "umbrella for storms"),)


def test_only_product_pairs_become_complements() -> None:
    assert view_of(QUERY, intent()) is QUERY_INTENTS
    assert view_of(PRODUCT, intent()) is PRODUCT_INTENTS
    assert view_of(PRODUCT, co_buy()) is PRODUCT_COMPLEMENTS


@pytest.mark.parametrize(
    ("kind", "key", "found", "reason"),
    [
        (UNKNOWN, "B01", intent(), "unknown_entity_kind"),
        (PRODUCT, "B77", intent(), "foreign_entity"),
        (QUERY, "", intent(query=""), "foreign_entity"),
        (PRODUCT, "B01", intent(tail_key=""), "empty_field"),
        (PRODUCT, "B01", intent(pair_id=""), "empty_field"),
        (PRODUCT, "B01", intent(plausibility=1.5), "score_out_of_range"),
        (PRODUCT, "B01", intent(typicality=math.nan), "score_out_of_range"),
        (PRODUCT, "B01", co_buy(products=(UMBRELLA, UMBRELLA)), "no_complement"),
    ],
)
def test_what_cannot_be_stored_is_refused_with_its_reason(
    kind: EntityKind, key: str, found: Intent, reason: str
) -> None:
    with pytest.raises(UnusableIntent) as refused:
        check(EntityIntent(entity_kind=kind, entity_key=key, intent=found))
    assert refused.value.reason == reason


def test_what_can_be_stored_passes() -> None:
    for found in (intent(), co_buy()):
        for kind, key in entities_of(found):
            check(EntityIntent(entity_kind=kind, entity_key=key, intent=found))


def test_typicality_that_nobody_judged_is_no_reason_to_refuse() -> None:
    check(EntityIntent(entity_kind=PRODUCT, entity_key="B01", intent=intent(typicality=None)))
