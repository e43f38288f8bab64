from __future__ import annotations

import math
from datetime import timedelta
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from features.entities import slot_of
from features.merge import EntityState, merge
from features.online import format as feast_format
from features.rows import reserve_of, row_of, state_of
from features.views import PRODUCT_COMPLEMENTS, PRODUCT_INTENTS, QUERY_INTENTS, VIEWS, View
from schemas.records import Intent
from tests.features.examples import BOOTS, NOW, TENT, TOP_3, UMBRELLA, changes, co_buy, intent

QUERY = "umbrella for storms"


def state(*entries: Intent) -> EntityState:
    return EntityState(entries=entries)


@given(changes(), st.sampled_from([QUERY_INTENTS, PRODUCT_INTENTS]))
def test_the_features_hold_everything_that_a_merge_needs(given_changes: list[object], view: View) -> None:
    merged = merge(EntityState(), given_changes, slot_of=slot_of(view, "B01"), rule=TOP_3)  # type: ignore[arg-type]
    fields = feast_format.encode_row(view, row_of(view, "B01", merged))
    assert state_of(feast_format.decode_row(view, fields), reserve_of(merged), merged.retracted) == merged


def test_a_complement_row_holds_everything_that_a_merge_needs() -> None:
    merged = state(co_buy(BOOTS), co_buy(TENT))
    fields = feast_format.encode_row(PRODUCT_COMPLEMENTS, row_of(PRODUCT_COMPLEMENTS, "B01", merged))
    assert state_of(feast_format.decode_row(PRODUCT_COMPLEMENTS, fields), "", {}) == merged


def test_every_feature_of_every_view_has_a_value() -> None:
    for view in VIEWS:
        assert tuple(row_of(view, "B01", state(co_buy()))) == view.names


def test_lists_run_parallel() -> None:
    row = row_of(QUERY_INTENTS, QUERY, state(intent(), intent(intent_id="i-2", tail="a hike", relation="used_to")))
    assert row["intents"] == ["used for walking the dog", "used to a hike"]
    assert row["relations"] == ["used_for_eve", "used_to"]
    assert row["support"] == [4, 4]


def test_an_unknown_specificity_is_null_and_not_zero() -> None:
    for unknown in (None, math.nan):
        row = row_of(QUERY_INTENTS, QUERY, state(intent(specificity=unknown)))
        assert row["specificity"] is None
        assert feast_format.encode_row(QUERY_INTENTS, row)[feast_format.field(QUERY_INTENTS, "specificity")] == b""


def test_typicality_that_nobody_judged_is_nan_in_feasts_list_and_moves_no_neighbour() -> None:
    """A list of doubles holds no null, and one that is shorter would no longer run parallel."""
    row = row_of(QUERY_INTENTS, QUERY, state(intent(typicality=None), intent(intent_id="i-2", typicality=0.9)))
    fields = feast_format.encode_row(QUERY_INTENTS, row)
    unknown, known = cast("list[float]", feast_format.decode_row(QUERY_INTENTS, fields)["typicality"])
    assert math.isnan(unknown)
    assert known == 0.9


def test_a_specificity_of_zero_is_zero() -> None:
    row = row_of(QUERY_INTENTS, QUERY, state(intent(specificity=0.0)))
    fields = feast_format.encode_row(QUERY_INTENTS, row)
    assert feast_format.decode_row(QUERY_INTENTS, fields)["specificity"] == 0.0


def test_figures_of_the_entity_come_from_its_newest_intent_that_knows_them() -> None:
    old = intent(intent_id="old", specificity=0.1, model_id="old", product_types=("umbrella",))
    new = intent(intent_id="new", specificity=None, model_id="new", generated_time=NOW, product_types=())
    row = row_of(QUERY_INTENTS, QUERY, state(old, new))
    assert (row["specificity"], row["model"], row["product_types"]) == (0.1, "new", ["umbrella"])
    assert row["updated_at"] == NOW


def test_updated_at_is_cut_to_whole_seconds_as_feast_keeps_it() -> None:
    row = row_of(QUERY_INTENTS, QUERY, state(intent(generated_time=NOW + timedelta(milliseconds=999))))
    assert row["updated_at"] == NOW


def test_scores_that_json_cannot_carry_are_left_out() -> None:
    row = row_of(QUERY_INTENTS, QUERY, state(intent(scores={"a": math.inf, "b": 0.5})))
    assert state_of(row, "", {}).entries[0].scores == {"b": 0.5}


def test_a_product_knows_its_title_type_and_subcategories() -> None:
    row = row_of(PRODUCT_INTENTS, "B01", state(intent()))
    assert (row["title"], row["product_type"]) == (UMBRELLA.title, "umbrella")
    assert row["subcategories"] == ["umbrella used for walking the dog"]


def test_a_product_of_unknown_type_has_no_subcategories() -> None:
    row = row_of(PRODUCT_INTENTS, "B02", state(intent(products=(BOOTS,))))
    assert (row["product_type"], row["subcategories"]) == (None, [])


def test_complements_name_the_other_product() -> None:
    row = row_of(PRODUCT_COMPLEMENTS, "B01", state(co_buy(BOOTS), co_buy(TENT)))
    assert row["complements"] == ["B02", "B03"]
    assert row["complement_titles"] == ["Rain boots", "Dome tent"]
    assert row["complement_types"] == ["", "tent"]
    assert row["title"] == UMBRELLA.title


def test_a_row_of_nothing_is_empty_lists_and_nulls() -> None:
    row = row_of(QUERY_INTENTS, QUERY, EntityState())
    assert row["intents"] == []
    assert row["updated_at"] is None
    assert row["model"] is None
    assert state_of({}, "", {}) == EntityState()
