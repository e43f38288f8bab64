"""Both paths of ingest give the same rows and refuse the same records, whatever a fetch holds."""

from __future__ import annotations

import struct
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from schemas.codec import Codec
from schemas.fixed_registry import FixedRegistry
from schemas.records import Action, CoPurchase, Product, QueryPurchase
from streams.fetch.handler import Fetch, RawRecord
from streams.fetch.records import Spans
from streams.ingest.decode import Decoded, Decoder
from streams.ingest.shapes import ORDERS, SEARCHES
from streams.ingest.walk import well_formed

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
REGISTRY = FixedRegistry()
SEARCH_CODEC = Codec("query-purchase", QueryPurchase, REGISTRY)
ORDER_CODEC = Codec("co-purchase", CoPurchase, REGISTRY)
DECODERS: dict[str, Decoder[Any]] = {
    "query-purchase": Decoder(SEARCH_CODEC, SEARCHES),
    "co-purchase": Decoder(ORDER_CODEC, ORDERS),
}

odd_text = st.sampled_from(
    [
        "",
        " ",
        "pasta  sauce",
        "\tpasta",
        "a\x00b",
        "a\x1fb",
        "a\x7fb",
        "\u200b",
        "\ufb01sh",
        "x" * 513,
        "joe@example.org",
        "\u00a0",
        "\u0130zmir",
    ]
)
text = st.text(st.characters(codec="utf-8"), max_size=8) | odd_text | st.just("pasta sauce")
label = st.none() | text
times = st.sampled_from(
    [
        NOW,
        NOW - timedelta(days=3),
        NOW + timedelta(minutes=59),
        NOW + timedelta(hours=2),
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2100, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, tzinfo=UTC),
    ]
)
products = st.builds(
    Product,
    product_id=st.sampled_from(["p1", "p2", "p3"]) | text,
    title=text,
    product_type=label,
    category=label,
    attributes=st.dictionaries(text, text, max_size=2),
)
searches = st.builds(
    QueryPurchase,
    event_id=text,
    event_time=times,
    session_id=text,
    locale=label,
    query=text,
    action=st.sampled_from(Action),
    product=products,
)
orders = st.builds(
    CoPurchase,
    event_id=text,
    event_time=times,
    session_id=text,
    locale=label,
    order_id=text,
    items=st.lists(products, max_size=5).map(tuple),
)


def damaged(value: bytes) -> st.SearchStrategy[bytes | None]:
    return st.one_of(
        st.none(),
        st.binary(max_size=30),
        st.integers(0, len(value)).map(lambda end: value[:end]),
        st.binary(min_size=1, max_size=9).map(lambda tail: value + tail),
        st.just(struct.pack(">BI", 0, 4711) + value[5:]),
    )


@st.composite
def fetches(draw: st.DrawFn, topic: str) -> Fetch:
    codec: Any = SEARCH_CODEC if topic == "query-purchase" else ORDER_CODEC
    events: list[Any] = draw(st.lists(searches if topic == "query-purchase" else orders, min_size=1, max_size=12))
    values = [codec.encode(event) for event in events]
    broken = [draw(damaged(value)) if draw(st.integers(0, 5)) == 0 else value for value in values]
    return Fetch(topic, 0, [RawRecord(offset, 0, None, value) for offset, value in enumerate(broken)])


def outcome(decoded: Decoded) -> tuple[pl.DataFrame, set[tuple[int, str]]]:
    rows = decoded.rows.with_columns(key=pl.struct(pl.all()).map_elements(repr, return_dtype=pl.String))
    return rows.sort("key"), {(bad.record.offset, bad.reason) for bad in decoded.bad}


@pytest.mark.parametrize("topic", DECODERS)
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_columns_and_records_agree(topic: str, data: st.DataObject) -> None:
    fetch = data.draw(fetches(topic))
    rows, bad = outcome(DECODERS[topic].decode(fetch, NOW))
    expected_rows, expected_bad = outcome(DECODERS[topic].decode_one_by_one(fetch, NOW))
    assert_frame_equal(rows, expected_rows)
    assert bad == expected_bad
    assert rows.height + len(bad) == len(fetch.records)


def search(number: int) -> QueryPurchase:
    return QueryPurchase(
        event_id=f"e{number}",
        event_time=NOW,
        session_id=f"s{number}",
        query="pasta sauce",
        action=Action.CLICK,
        product=Product(product_id=f"p{number}", title="Tomato sauce"),
    )


def test_one_damaged_record_among_many_is_the_only_one_refused() -> None:
    values = [SEARCH_CODEC.encode(search(number)) for number in range(500)]
    values[250] = values[250][:-4]
    fetch = Fetch("query-purchase", 3, [RawRecord(offset, 0, None, value) for offset, value in enumerate(values)])
    decoded = DECODERS["query-purchase"].decode(fetch, NOW)
    assert [bad.record.offset for bad in decoded.bad] == [250]
    assert set(decoded.rows["session_id"]) == {f"s{n}" for n in range(500) if n != 250}


def test_two_records_whose_damage_would_cancel_out_are_both_refused() -> None:
    """The bytes of a block only have to add up; the boundaries inside are checked apart."""
    values = [SEARCH_CODEC.encode(search(number)) for number in range(100)]
    values[10], values[11] = values[10] + values[11][5:], values[11][:5]
    fetch = Fetch("query-purchase", 0, [RawRecord(offset, 0, None, value) for offset, value in enumerate(values)])
    decoded = DECODERS["query-purchase"].decode(fetch, NOW)
    assert {bad.record.offset for bad in decoded.bad} == {10, 11}
    assert decoded.rows.height == 98


def test_a_value_framed_by_a_guid_header_is_read() -> None:
    guid = REGISTRY.guid(SEARCH_CODEC.schema_id)
    body = SEARCH_CODEC.encode(search(1))[5:]
    record = RawRecord(0, 0, None, body, (("__value_schema_id", b"\x01" + guid.bytes),))
    decoded = DECODERS["query-purchase"].decode(Fetch("query-purchase", 0, [record]), NOW)
    assert (decoded.rows.height, decoded.bad) == (1, [])


def test_an_order_that_lists_a_product_twice_is_repaired() -> None:
    twice = Product(product_id="p1", title="Tomato sauce")
    order = CoPurchase(
        event_id="e",
        event_time=NOW,
        session_id="s",
        order_id="o",
        items=(twice, twice, replace(twice, product_id="p2")),
    )
    fetch = Fetch("co-purchase", 0, [RawRecord(0, 0, None, ORDER_CODEC.encode(order))])
    decoded = DECODERS["co-purchase"].decode(fetch, NOW)
    assert [item["product_id"] for item in decoded.rows["items"][0]] == ["p1", "p2"]


def test_a_record_of_very_many_attributes_does_not_hold_up_its_neighbours() -> None:
    """Items are walked one after another, so that one such record would cost what all others together do not."""
    many = {f"k{number}": "" for number in range(20_000)}
    events = [search(1), replace(search(2), product=replace(search(2).product, attributes=many)), search(3)]
    values = Spans.of([SEARCH_CODEC.encode(event)[5:] for event in events])
    schema = SEARCH_CODEC.reader(SEARCH_CODEC.schema_id).schema
    assert well_formed(schema, values).tolist() == [True, False, True]
    fetch = Fetch("query-purchase", 0, [RawRecord(n, 0, None, SEARCH_CODEC.encode(e)) for n, e in enumerate(events)])
    assert DECODERS["query-purchase"].decode(fetch, NOW).rows.height == 3


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_bytes_at_random_are_walked_without_reading_a_neighbours_record_as_ones_own(tails: list[bytes]) -> None:
    """What is well formed among others is well formed alone."""
    good = SEARCH_CODEC.encode(search(1))[5:]
    bodies = [part for tail in tails for part in (good, tail, good[: len(tail)] + tail)]
    schema = SEARCH_CODEC.reader(SEARCH_CODEC.schema_id).schema
    alone = [bool(well_formed(schema, Spans.of([body]))[0]) for body in bodies]
    assert well_formed(schema, Spans.of(bodies)).tolist() == alone
