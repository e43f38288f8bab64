"""The native format, kind by kind: what is refused names its field, and nothing is converted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmo.produce.formats import Format
from cosmo.produce.lines import MAX_LINE_BYTES
from cosmo.produce.outcomes import Sendable
from schemas.convert import converter
from schemas.records import BY_TOPIC, Action, CoPurchase, Product, QueryPurchase
from tests.produce.examples import AT, order, passed, product, read, refusals, search, sendable, text
from tests.schemas.strategies import records

GOOD = QueryPurchase(
    event_id="e-1",
    event_time=datetime(2026, 3, 1, 12, 0, 0, 250_000, UTC),
    session_id="s-1",
    locale="en-US",
    query="umbrella for storms",
    action=Action.PURCHASE,
    product=Product(product_id="B01", title="Windproof umbrella", product_type="umbrella"),
)


def test_a_record_is_read_field_for_field() -> None:
    assert sendable(read(Format.NATIVE, search())) == [GOOD]


def test_an_order_is_read_with_its_items() -> None:
    (found,) = sendable(read(Format.NATIVE, order(), topic="co-purchase"))
    assert isinstance(found, CoPurchase)
    assert [item.title for item in found.items] == ["Windproof umbrella", "Rain boots"]


@pytest.mark.parametrize("at", [AT, "2026-03-01T13:00:00.250+01:00", 1772366400250, "20260301T120000.250Z"])
def test_an_instant_is_iso_8601_with_a_zone_or_milliseconds(at: Any) -> None:
    assert sendable(read(Format.NATIVE, search(event_time=at))) == [GOOD]


def test_null_is_the_same_as_not_there_for_what_may_be_unknown() -> None:
    line = text(search())[0].replace(b'"en-US"', b"null")
    (found,) = sendable(read(Format.NATIVE, line))
    assert found.locale is None


def test_attributes_are_carried() -> None:
    (found,) = sendable(read(Format.NATIVE, search(product=product(attributes={"colour": "red"}))))
    assert found.product.attributes == {"colour": "red"}


REFUSED: dict[str, tuple[Any, str, str]] = {
    "no JSON": (b"umbrella,for,storms", "not_json", "Expecting value at column 1"),
    "cut off": (text(search())[0][:-3], "not_json", "at column"),
    "two documents on a line": (text(search())[0] * 2, "not_json", "Extra data"),
    "a trailing comma": (b'{"event_id": "e",}', "not_json", "at column"),
    "single quotes": (b"{'event_id': 'e'}", "not_json", "property name"),
    "NaN": (b'{"event_id": NaN}', "not_json", "NaN is not JSON"),
    "Infinity": (b'{"event_id": -Infinity}', "not_json", "-Infinity is not JSON"),
    "nested too deeply": (b"[" * 200_000, "not_json", "nested too deeply"),
    "a number of 5,000 digits": (b'{"event_time": ' + b"9" * 5000 + b"}", "not_json", "digit"),
    "Latin-1": ('{"query": "caf\xe9"}'.encode("latin-1"), "not_utf8", "byte 0xe9 at 14"),
    "UTF-16": ('{"query": "x"}'.encode("utf-16"), "not_utf8", "byte 0xff at 0"),
    "a surrogate in UTF-8": (b'{"query": "\xed\xa0\x80"}', "not_utf8", "byte 0xed"),
    "a list": (text([search()])[0], "not_an_object", "a list"),
    "a string": (b'"hello"', "not_an_object", "a string"),
    "null": (b"null", "not_an_object", "null"),
    "a duplicate key": (b'{"query": "a", "query": "b"}', "duplicate_key", "'query'"),
    "a duplicate key deep down": (b'{"product": {"title": 1, "title": 2}}', "duplicate_key", "'title'"),
    "a field too many": (search(price=3), "unknown_field", "price is no field"),
    "a misspelt field": (search(querry="x"), "unknown_field", "querry is no field of the record; is query meant?"),
    "a misspelt field of the product": (
        search(product=product(titel="x")), "unknown_field", "product.titel is no field of the record; is title meant?"
    ),
    "no event id": (search(event_id=None), "missing_field", "event_id is not there"),
    "no time": (search(event_time=None), "missing_field", "event_time is not there"),
    "no product": (search(product=None), "missing_field", "product is not there"),
    "no title": (search(product=product(title=None)), "missing_field", "product.title is not there"),
    "empty object": ({}, "missing_field", "event_id is not there"),
    "a number as id": (search(session_id=7), "wrong_type", "session_id is a number where a string is wanted"),
    "a list as query": (search(query=["a"]), "wrong_type", "query is a list where a string is wanted"),
    "null for what is needed": (
        b'{"event_id": null, ' + text(search(event_id=None))[0][1:], "wrong_type", "event_id is null"
    ),
    "a product id only": (search(product="B01"), "wrong_type", "product is a string where an object is wanted"),
    "an attribute that is no text": (
        search(product=product(attributes={"size": 3})), "wrong_type", "product.attributes.size is a number"
    ),
    "an action in small letters": (search(action="purchase"), "unknown_action", "'purchase'; write it PURCHASE"),
    "unknown is what we call others": (search(action="unknown"), "unknown_action", "it is one of IMPRESSION"),
    "an action with a space": (search(action="Add to cart"), "unknown_action", "write it ADD_TO_CART"),
    "an action of others": (
        search(action="HOVER"), "unknown_action", "'HOVER'; it is one of IMPRESSION, CLICK, ADD_TO_CART, PURCHASE",
    ),
    "seconds": (search(event_time=1772366400), "bad_time", "seems to be seconds since 1970; milliseconds are wanted"),
    "a boolean as time": (search(event_time=True), "wrong_type", "event_time is a boolean"),
    "milliseconds with a fraction": (search(event_time=1772366400250.5), "wrong_type", "event_time is a number"),
    "no time zone": (search(event_time="2026-03-01T12:00:00"), "bad_time", "has no time zone"),
    "a date": (search(event_time="2026-03-01"), "bad_time", "has no time zone"),
    "an American date": (search(event_time="03/01/2026 12:00"), "bad_time", "is not ISO 8601"),
    "milliseconds as text": (search(event_time="1772366400250"), "bad_time", "is not ISO 8601"),
    "empty time": (search(event_time=""), "bad_time", "is not ISO 8601"),
    "microseconds": (search(event_time=1772366400250000), "bad_time", "no count of milliseconds"),
    "the last hour of time": (search(event_time="9999-12-31T23:59:59-05:00"), "bad_time", "is not ISO 8601"),
    "too long": (b'"' + b"x" * MAX_LINE_BYTES + b'"', "line_too_long", "4,194,306 bytes, 4,194,304 are allowed"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_each_kind_of_bad_line_has_its_reason_and_names_its_field(kind: str) -> None:
    line, reason, detail = REFUSED[kind]
    ((number, found_reason, found_detail),) = refusals(read(Format.NATIVE, search(), line, search())[1:2])
    assert (number, found_reason) == (2, reason)
    assert detail in found_detail
    assert len(found_detail) < 200


def test_the_neighbours_of_every_bad_line_go_through() -> None:
    bad = [line for line, _, _ in REFUSED.values() if line is not REFUSED["too long"][0]]
    found = read(Format.NATIVE, *[part for line in bad for part in (search(), line)], search())
    assert len(sendable(found)) == len(bad) + 1


def test_an_item_is_named_by_its_index() -> None:
    items = [product(), product(product_id="B02", title=3)]
    found = refusals(read(Format.NATIVE, order(items=items), topic="co-purchase"))
    assert found == [(1, "wrong_type", "items[1].title is a number where a string is wanted")]


def test_blank_lines_are_passed_over_and_still_counted() -> None:
    found = read(Format.NATIVE, b"", search(), b"  \t")
    assert passed(found) == [(1, "blank"), (3, "blank")]
    assert len(sendable(found)) == 1


@given(
    st.sampled_from(["query-purchase", "co-purchase"]).flatmap(lambda topic: st.tuples(st.just(topic), records(topic)))
)
def test_every_record_can_be_written_as_a_line_and_comes_back_as_it_was(given_record: tuple[str, Any]) -> None:
    topic, record = given_record
    (found,) = read(Format.NATIVE, as_json(topic, record), topic=topic)
    assert isinstance(found, Sendable)
    assert found.record == record


def as_json(topic: str, record: Any) -> dict[str, Any]:
    """The record by way of its Avro form, which has the same names and shapes as JSON."""
    from schemas import avsc

    made: dict[str, Any] = converter(avsc.load(topic), BY_TOPIC[topic]).to_avro(record)
    return made
