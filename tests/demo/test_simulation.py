from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmo.demo.baskets import WEEK, shift_to, window
from cosmo.demo.flaws import FLAWS, SHARE
from cosmo.demo.queries import misspelled, typed
from cosmo.demo.simulation import ORDERS, SEARCHES, Line, Simulation
from schemas.records import Action, CoPurchase, Product, QueryPurchase
from schemas.validate import MAX_ITEMS, MIN_ITEMS, check

NOW = datetime(2026, 3, 4, 15, 30, tzinfo=UTC)


@cache
def _simulation(seed: int = 7, baskets: int = 600) -> Simulation:
    return Simulation.over(baskets=baskets, seed=seed, now=NOW)


def _all(topic: str, seed: int = 7, baskets: int = 600) -> list[Line]:
    return list(_simulation(seed, baskets).lines(topic))


def _good(topic: str) -> Iterator[dict[str, object]]:
    return (orjson.loads(line.value) for line in _all(topic) if line.flaw is None)


def _product(fields: dict[str, object]) -> Product:
    return Product(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("topic", [SEARCHES, ORDERS])
def test_the_same_seed_and_instant_give_the_same_bytes(topic: str) -> None:
    again = Simulation.over(baskets=600, seed=7, now=NOW)
    assert [line.value for line in again.lines(topic)] == [line.value for line in _all(topic)]


def test_another_seed_gives_other_searches_over_the_same_orders() -> None:
    assert _all(SEARCHES, seed=8) != _all(SEARCHES)
    orders = {line.value for line in _all(ORDERS) if line.flaw is None}
    assert {line.value for line in _all(ORDERS, seed=8) if line.flaw is None} == orders


def test_a_basket_has_the_same_events_however_many_baskets_are_asked_for() -> None:
    fewer = [line.value for line in _all(ORDERS, baskets=300) if line.flaw is None]
    assert [line.value for line in _all(ORDERS) if line.flaw is None][-len(fewer) :] == fewer


def test_every_good_search_is_accepted_by_the_input_contract() -> None:
    for event in _good(SEARCHES):
        record = QueryPurchase(
            **event  # type: ignore[arg-type]
            | {
                "event_time": datetime.fromisoformat(str(event["event_time"])),
                "action": Action(str(event["action"])),
                "product": _product(event["product"]),  # type: ignore[arg-type]
            }
        )
        assert check(record, NOW).product is record.product


def test_every_good_order_is_accepted_unchanged_by_the_input_contract() -> None:
    for event in _good(ORDERS):
        items = tuple(_product(item) for item in event["items"])  # type: ignore[attr-defined]
        record = CoPurchase(
            **event  # type: ignore[arg-type]
            | {"event_time": datetime.fromisoformat(str(event["event_time"])), "items": items}
        )
        assert check(record, NOW) is record


def test_searches_say_that_they_are_simulated_and_orders_that_they_are_not() -> None:
    sources = {event["product"]["attributes"]["source"] for event in _good(SEARCHES)}  # type: ignore[index]
    assert sources == {"simulated"}
    items = [item for event in _good(ORDERS) for item in event["items"]]  # type: ignore[attr-defined]
    assert {item["attributes"]["source"] for item in items} == {"completejourney"}


def test_what_is_bought_after_a_search_was_shown_clicked_and_carried_before() -> None:
    seen: dict[tuple[str, str, str], list[str]] = {}
    for event in _good(SEARCHES):
        product_id = event["product"]["product_id"]  # type: ignore[index]
        seen.setdefault((str(event["session_id"]), str(event["query"]), product_id), []).append(str(event["action"]))
    for actions in seen.values():
        if "PURCHASE" in actions:
            assert {"IMPRESSION", "CLICK", "ADD_TO_CART"} <= set(actions)


def test_no_event_lies_ahead_and_sessions_search_before_they_order() -> None:
    ordered = {str(event["session_id"]): str(event["event_time"]) for event in _good(ORDERS)}
    for event in _good(SEARCHES):
        assert str(event["event_time"]) < ordered[str(event["session_id"])] <= NOW.isoformat()


def test_malformed_lines_come_at_the_stated_rate_and_of_every_kind() -> None:
    lines = _all(SEARCHES, baskets=3000) + _all(ORDERS, baskets=3000)
    kinds = Counter(line.flaw.name for line in lines if line.flaw)
    assert 0.6 * SHARE < kinds.total() / len(lines) < 1.4 * SHARE
    assert {flaw.name for flaw in FLAWS if flaw.topic == SEARCHES} <= kinds.keys()


def test_some_queries_are_misspelt_and_some_hold_personal_data() -> None:
    queries = [str(orjson.loads(line.value)["query"]) for line in _all(SEARCHES, baskets=3000) if not line.flaw]
    assert any("@example.com" in query for query in queries)
    assert any(" 555 01" in query for query in queries)


def test_the_first_line_comes_before_the_others_are_made() -> None:
    assert len(list(islice(_simulation().searches(), 1))) == 1


def test_the_default_input_is_as_large_as_the_documents_say() -> None:
    simulation = Simulation.over(baskets=20_000, seed=7, now=NOW)
    assert simulation.baskets == 20_000
    assert sum(1 for _ in simulation.searches()) >= 150_000


@given(st.datetimes(min_value=datetime(2018, 2, 1), max_value=datetime(2080, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
@settings(max_examples=25, deadline=None)
def test_the_window_ends_now_with_weekdays_and_hours_as_they_were(now: datetime) -> None:
    found = window(50, now)
    last = found.baskets["time"].max()
    assert found.shift % WEEK == timedelta(0)
    assert isinstance(last, datetime)
    assert now - timedelta(days=2) < last <= now
    assert found.baskets["product_id"].list.len().is_between(MIN_ITEMS, MAX_ITEMS).all()


def test_the_shift_is_whole_weeks_and_no_longer_than_needed() -> None:
    last = datetime(2018, 1, 1, 4)  # noqa: DTZ001 - the data have no zone
    assert shift_to(datetime(2018, 1, 1, 4, tzinfo=UTC), last) == timedelta(0)
    assert shift_to(datetime(2018, 1, 1, 5, tzinfo=UTC), last) == WEEK


@given(st.text(min_size=5, max_size=30), st.randoms(use_true_random=False))
def test_a_slip_of_the_finger_changes_one_place_and_never_the_first_letter(text: str, rng: object) -> None:
    found = misspelled(text, rng)  # type: ignore[arg-type]
    assert found[0] == text[0]
    assert abs(len(found) - len(text)) <= 1
    assert len(found) > len(text) or sorted(found) == sorted(text) or len(found) < len(text)


def test_people_type_the_words_before_the_first_comma_without_fillers() -> None:
    assert typed("frozen bagged vegetables, plain", frozenset({"bagged"})) == "frozen vegetables"
    assert typed("other", frozenset({"other"})) == "other"
