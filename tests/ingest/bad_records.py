"""Every kind of record that a producer may send by mistake, and what becomes of it.

Each kind is a raw Kafka record next to good neighbours. ``reason`` None means that it is repaired and goes on.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

from fastavro import parse_schema, schemaless_writer

from schemas import avsc
from schemas.codec import Codec
from schemas.records import Action, CoPurchase, Product, QueryPurchase
from schemas.registry import SchemaLookup

Headers = list[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of bad record."""

    name: str
    topic: str
    value: bytes | None
    reason: str | None
    key: bytes | None = b"some key"
    headers: tuple[tuple[str, bytes | None], ...] = (("ce_type", b"shop.event"),)


def product(number: int = 1, **changes: Any) -> Product:
    return replace(Product(product_id=f"p{number}", title="Tomato sauce", product_type="sauce"), **changes)


def search(**changes: Any) -> QueryPurchase:
    event = QueryPurchase(
        event_id="e",
        event_time=datetime.now(UTC),
        session_id="s",
        query="pasta sauce",
        action=Action.CLICK,
        product=product(),
    )
    return replace(event, **changes)


def order(**changes: Any) -> CoPurchase:
    event = CoPurchase(
        event_id="e", event_time=datetime.now(UTC), session_id="s", order_id="o", items=(product(1), product(2))
    )
    return replace(event, **changes)


def kinds(registry: SchemaLookup, other_schema_id: int) -> list[Kind]:
    """The table. ``other_schema_id`` is that of a registered schema that cannot be read as an event."""
    return [*_bytes(registry, other_schema_id), *_searches(registry), *_orders(registry)]


def _bytes(registry: SchemaLookup, other_schema_id: int) -> Iterator[Kind]:
    topic = "query-purchase"
    good = Codec(topic, QueryPurchase, registry).encode(search())

    def kind(name: str, value: bytes | None, reason: str | None, **more: Any) -> Kind:
        return Kind(name=name, topic=topic, value=value, reason=reason, **more)

    yield kind("null value", None, "null_value")
    yield kind("empty value", b"", "empty_value")
    yield kind("null key", good, None, key=None)
    yield kind("plain text", b"hello", "wrong_magic")
    yield kind("JSON", b'{"query": "pasta"}', "wrong_magic")
    yield kind("ends in the schema id", good[:3], "truncated_frame")
    yield kind("ends after the schema id", good[:5], "truncated")
    yield kind("truncated", good[:-3], "truncated")
    yield kind("trailing bytes", good + b"\x00\x00", "trailing_bytes")
    yield kind("two records in one", good + good[5:], "trailing_bytes")
    yield kind("unknown schema id", struct.pack(">BI", 0, 2_000_000_000) + good[5:], "unknown_schema")
    yield kind("schema of another topic", struct.pack(">BI", 0, other_schema_id) + good[5:], "schema_mismatch")
    yield kind("no UTF-8", good.replace(b"pasta", b"\xff\xfesta"), "invalid_utf8")
    yield kind("lone surrogate", good.replace(b"pasta", b"\xed\xa0\x80ta"), "lone_surrogate")
    yield kind("10 MB", good + bytes(10_000_000), "trailing_bytes")
    yield kind("broken schema header", good, "bad_schema_header", headers=(("__value_schema_id", b"\x07"),))


def _searches(registry: SchemaLookup) -> Iterator[Kind]:
    topic = "query-purchase"
    codec = Codec(topic, QueryPurchase, registry)

    def kind(name: str, reason: str | None, **changes: Any) -> Kind:
        return Kind(name=name, topic=topic, value=codec.encode(search(**changes)), reason=reason)

    yield kind("empty query", "empty_query", query="")
    yield kind("blank query", "empty_query", query=" \u00a0\t")
    yield kind("query of 512 characters", None, query="x" * 512)
    yield kind("query of 513 characters", "query_too_long", query="x" * 513)
    yield kind("control characters in the query", None, query="pasta\x00\x1bsauce")
    yield kind("no title", "no_title", product=product(title=""))
    yield kind("title too long", "title_too_long", product=product(title="x" * 513))
    yield kind("no product id", "empty_product_id", product=product(product_id=" "))
    yield kind("control character in an id", "control_characters", product=product(product_id="p\n1"))
    yield kind("id too long", "id_too_long", session_id="s" * 257)
    yield kind("no event id", "empty_event_id", event_id="")
    yield kind("no session", "empty_session_id", session_id="")
    yield kind("type too long", "label_too_long", product=product(product_type="x" * 257))
    yield kind("blank type", None, product=product(product_type=" "))
    yield kind("odd locale", None, locale="klingon!")
    yield kind("unknown action", "unknown_action", action=Action.UNKNOWN)
    yield kind("1970", "time_too_old", event_time=datetime(1970, 1, 1, tzinfo=UTC))
    yield kind("before 1970", "time_too_old", event_time=datetime(1969, 7, 20, tzinfo=UTC))
    yield kind("2100", "time_in_future", event_time=datetime(2100, 1, 1, tzinfo=UTC))
    yield kind("half an hour ahead", None, event_time=datetime.now(UTC) + timedelta(minutes=30))
    yield Kind(
        name="microseconds for milliseconds", topic=topic, value=_microseconds(codec), reason="time_out_of_range"
    )


def _orders(registry: SchemaLookup) -> Iterator[Kind]:
    topic = "co-purchase"
    codec = Codec(topic, CoPurchase, registry)

    def kind(name: str, reason: str | None, **changes: Any) -> Kind:
        return Kind(name=name, topic=topic, value=codec.encode(order(**changes)), reason=reason)

    yield kind("no items", "too_few_items", items=())
    yield kind("one item", "too_few_items", items=(product(1),))
    yield kind("the same item twice", "too_few_items", items=(product(1), product(1)))
    yield kind("duplicate items", None, items=(product(1), product(2), product(1)))
    yield kind("200 items", None, items=tuple(product(number) for number in range(200)))
    yield kind("201 items", "too_many_items", items=tuple(product(number) for number in range(201)))
    yield kind("an item without title", "no_title", items=(product(1), product(2, title=" ")))
    yield kind("no order id", "empty_order_id", order_id="")
    good = codec.encode(order())
    yield Kind(name="negative item count", topic=topic, value=_negative_count(good), reason="truncated")


def _microseconds(codec: Codec[QueryPurchase]) -> bytes:
    """An instant in the year 58,000: microseconds in a field of milliseconds."""
    event = {
        "event_id": "e",
        "event_time": 1_790_000_000_000_000,
        "session_id": "s",
        "locale": None,
        "query": "pasta",
        "action": "CLICK",
        "product": {"product_id": "p", "title": "t", "product_type": None, "category": None, "attributes": {}},
    }
    out = BytesIO()
    schema = deepcopy(avsc.load("query-purchase"))
    schema["fields"][1]["type"] = "long"
    schemaless_writer(out, parse_schema(schema), event)
    return codec.encode(search())[:5] + out.getvalue()


def _negative_count(good: bytes) -> bytes:
    """The count of items, 2 (zigzag 4), as -2 (zigzag 3), which announces a block size that is not there."""
    at = good.index(b"\x04\x04p1")
    return good[:at] + b"\x03" + good[at + 1 :]
