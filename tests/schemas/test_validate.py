"""The input contract, rule by rule and repair by repair."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import validate
from schemas.errors import UNDECODABLE, Reason, Refused
from schemas.records import Action, CoPurchase, Product, QueryPurchase
from tests.schemas.examples import BOOTS, CO_PURCHASE, NOW, QUERY_PURCHASE, UMBRELLA
from tests.schemas.strategies import records

MANY = tuple(Product(product_id=f"B{n}", title=f"Product {n}") for n in range(201))


def query(**changes: Any) -> QueryPurchase:
    return replace(QUERY_PURCHASE, **changes)


def product(**changes: Any) -> QueryPurchase:
    return query(product=replace(UMBRELLA, **changes))


def basket(**changes: Any) -> CoPurchase:
    return replace(CO_PURCHASE, **changes)


REFUSED: dict[str, tuple[Any, Reason]] = {
    "empty event id": (query(event_id=""), Reason.EMPTY_EVENT_ID),
    "blank session id": (query(session_id=" \t"), Reason.EMPTY_SESSION_ID),
    "invisible session id": (query(session_id="\u200b"), Reason.EMPTY_SESSION_ID),
    "long session id": (query(session_id="s" * 257), Reason.ID_TOO_LONG),
    "line feed in an id": (query(event_id="a\nb"), Reason.CONTROL_CHARACTERS),
    "empty query": (query(query=""), Reason.EMPTY_QUERY),
    "blank query": (query(query=" \u3000\t"), Reason.EMPTY_QUERY),
    "invisible query": (query(query="\ufeff\u200b"), Reason.EMPTY_QUERY),
    "513 characters": (query(query="q" * 513), Reason.QUERY_TOO_LONG),
    "ten megabytes": (query(query="q" * 10_000_000), Reason.QUERY_TOO_LONG),
    "half an emoji in the query": (query(query="\ud83d"), Reason.LONE_SURROGATE),
    "half an emoji in the title": (product(title="umbrella \ude00"), Reason.LONE_SURROGATE),
    "half an emoji in an attribute": (product(attributes={"a": "\ud83d"}), Reason.LONE_SURROGATE),
    "half an emoji in an id": (product(product_id="\ud83d"), Reason.LONE_SURROGATE),
    "unknown action": (query(action=Action.UNKNOWN), Reason.UNKNOWN_ACTION),
    "1970": (query(event_time=datetime(1970, 1, 1, tzinfo=UTC)), Reason.TIME_TOO_OLD),
    "1999": (query(event_time=datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC)), Reason.TIME_TOO_OLD),
    "2100": (query(event_time=datetime(2100, 1, 1, tzinfo=UTC)), Reason.TIME_IN_FUTURE),
    "an hour and a bit ahead": (query(event_time=NOW + timedelta(hours=1, milliseconds=1)), Reason.TIME_IN_FUTURE),
    "empty product id": (product(product_id=""), Reason.EMPTY_PRODUCT_ID),
    "line feed in a product id": (product(product_id="B\n01"), Reason.CONTROL_CHARACTERS),
    "long product id": (product(product_id="B" * 257), Reason.ID_TOO_LONG),
    "no title": (product(title=""), Reason.NO_TITLE),
    "blank title": (product(title="\x00 "), Reason.NO_TITLE),
    "long title": (product(title="t" * 513), Reason.TITLE_TOO_LONG),
    "long product type": (product(product_type="t" * 257), Reason.LABEL_TOO_LONG),
    "long category": (product(category="t" * 257), Reason.LABEL_TOO_LONG),
    "empty order id": (basket(order_id=""), Reason.EMPTY_ORDER_ID),
    "basket in 1970": (basket(event_time=datetime(1970, 1, 1, tzinfo=UTC)), Reason.TIME_TOO_OLD),
    "no items": (basket(items=()), Reason.TOO_FEW_ITEMS),
    "one item": (basket(items=(UMBRELLA,)), Reason.TOO_FEW_ITEMS),
    "one item three times": (basket(items=(UMBRELLA,) * 3), Reason.TOO_FEW_ITEMS),
    "201 items": (basket(items=MANY), Reason.TOO_MANY_ITEMS),
    "an item without title": (
        basket(items=(UMBRELLA, BOOTS, replace(BOOTS, product_id="B3", title=""))),
        Reason.NO_TITLE,
    ),
    "a bad twin of a good item": (basket(items=(UMBRELLA, BOOTS, replace(BOOTS, title=" "))), Reason.NO_TITLE),
    "half an emoji in an item": (basket(items=(UMBRELLA, replace(BOOTS, title="\ud83d"))), Reason.LONE_SURROGATE),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_each_broken_rule_has_its_reason(kind: str) -> None:
    record, reason = REFUSED[kind]
    with pytest.raises(Refused) as caught:
        validate.check(record, NOW)
    assert caught.value.reason is reason
    assert len(caught.value.detail) < 200


REPAIRED: dict[str, tuple[Any, Any]] = {
    "controls in the query": (query(query="umbrella\x00for\tstorms\r\n"), query(query="umbrella for storms")),
    "runs of spaces": (query(query="  umbrella \u3000 for storms"), query(query="umbrella for storms")),
    "invisible characters": (query(query="umb\u200brella"), query(query="umbrella")),
    "a turned line": (query(query="\u202eumbrella"), query(query="umbrella")),
    "a long query of spaces": (query(query="umbrella" + " " * 600), query(query="umbrella")),
    "spaces in a title": (product(title=" Windproof\numbrella "), product(title="Windproof umbrella")),
    "empty labels": (product(product_type="", category=" "), product(product_type=None, category=None)),
    "locale of another form": (query(locale="en_US"), query(locale="en-US")),
    "locale that is none": (query(locale="English (US)"), query(locale=None)),
    "long locale": (query(locale="en-" + "abcdefgh-" * 5 + "x"), query(locale=None)),
    "duplicate items": (basket(items=(UMBRELLA, BOOTS, UMBRELLA, BOOTS)), CO_PURCHASE),
    "a twin with another title": (basket(items=(UMBRELLA, BOOTS, replace(BOOTS, title="Shoes"))), CO_PURCHASE),
    "spaces in an item": (basket(items=(UMBRELLA, replace(BOOTS, title="Rain  boots"))), CO_PURCHASE),
}


@pytest.mark.parametrize("kind", REPAIRED)
def test_each_repair_gives_the_record_that_was_meant(kind: str) -> None:
    record, wanted = REPAIRED[kind]
    assert validate.check(record, NOW) == wanted


ACCEPTED: dict[str, Any] = {
    "an ordinary event": QUERY_PURCHASE,
    "an ordinary basket": CO_PURCHASE,
    "512 characters": query(query="q" * 512),
    "512 characters of four bytes": query(query="\U0001f302" * 512),
    "joined emoji": query(query="👨\u200d👩\u200d👧 umbrella"),
    "an hour ahead": query(event_time=NOW + timedelta(hours=1)),
    "the year 2000": query(event_time=datetime(2000, 1, 1, tzinfo=UTC)),
    "200 items": basket(items=MANY[:200]),
    "a product of which little is known": query(product=BOOTS),
    "an id with spaces": product(product_id=" B 01 "),
}


@pytest.mark.parametrize("kind", ACCEPTED)
def test_what_breaks_no_rule_passes_untouched(kind: str) -> None:
    assert validate.check(ACCEPTED[kind], NOW) is ACCEPTED[kind]


@given(st.sampled_from(["query-purchase", "co-purchase"]).flatmap(records))
def test_checking_twice_is_checking_once(record: Any) -> None:
    try:
        once = validate.check(record, NOW)
    except Refused:
        return
    assert validate.check(once, NOW) is once


def test_every_reason_is_explained_exactly_once() -> None:
    explained = [*UNDECODABLE, *(rule.reason for rule in validate.RULES)]
    assert sorted(explained) == sorted(Reason)


def test_every_rule_on_values_is_broken_by_some_record_above() -> None:
    assert {reason for _, reason in REFUSED.values()} == {rule.reason for rule in validate.RULES}
