"""The strict check accepts what an encoder writes, and refuses what only damage can produce."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from fastavro import schemaless_writer
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import Reason, Undecodable
from schemas.strict import MAX_ITEMS, StrictCheck

ENUM = {"type": "enum", "name": "E", "symbols": ["A", "B"]}
TREE = {
    "type": "record",
    "name": "shop.Node",
    "fields": [
        {"name": "next", "type": ["null", "Node"]},
        {"name": "kind", "type": ENUM},
        {"name": "other", "type": "E"},
    ],
}


def refused(schema: Any, body: bytes) -> Reason:
    with pytest.raises(Undecodable) as caught:
        StrictCheck(schema)(body)
    return caught.value.reason


@pytest.mark.parametrize(
    ("schema", "body", "reason"),
    [
        ("boolean", b"\x02", Reason.DAMAGED),
        ("boolean", b"", Reason.TRUNCATED),
        ("int", b"\x80\x80\x80\x80\x10", Reason.DAMAGED),
        ("long", b"\x80" * 10 + b"\x01", Reason.DAMAGED),
        ("long", b"\xff" * 9 + b"\x02", Reason.DAMAGED),
        ("long", b"\x80", Reason.TRUNCATED),
        ("double", b"\x00" * 7, Reason.TRUNCATED),
        ("float", b"\x00" * 5, Reason.TRAILING_BYTES),
        ("bytes", b"\x01", Reason.DAMAGED),
        ("string", b"\x04a", Reason.TRUNCATED),
        ("string", b"\x02\xff", Reason.INVALID_UTF8),
        ("string", b"\x06\xed\xa0\x80", Reason.LONE_SURROGATE),
        (ENUM, b"\x04", Reason.DAMAGED),
        (ENUM, b"\x01", Reason.DAMAGED),
        (["null", "long"], b"\x01", Reason.DAMAGED),
        (["null", "long"], b"\x04", Reason.DAMAGED),
        ({"type": "fixed", "name": "F", "size": 3}, b"ab", Reason.TRUNCATED),
        ({"type": "map", "values": "long"}, b"\x02\x02\xff\x02\x00", Reason.INVALID_UTF8),
    ],
)
def test_what_no_encoder_writes_is_refused(schema: Any, body: bytes, reason: Reason) -> None:
    assert refused(schema, body) is reason


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_long_is_accepted(number: int) -> None:
    out = BytesIO()
    schemaless_writer(out, "long", number)
    StrictCheck("long")(out.getvalue())


def test_a_type_used_within_itself_and_again_is_followed() -> None:
    out = BytesIO()
    inner = {"next": None, "kind": "A", "other": "B"}
    schemaless_writer(out, TREE, {"next": inner, "kind": "B", "other": "A"})
    StrictCheck(TREE)(out.getvalue())


def test_nesting_without_end_is_damage_and_no_crash() -> None:
    assert refused(TREE, b"\x02" * 100_000) is Reason.DAMAGED


def test_the_detail_names_field_and_byte() -> None:
    schema = {"type": "record", "name": "R", "fields": [{"name": "n", "type": "long"}, {"name": "t", "type": "string"}]}
    with pytest.raises(Undecodable, match="t at byte 2: 5 bytes are announced, 2 are left"):
        StrictCheck(schema)(b"\x02\x0aab")


def long(number: int) -> bytes:
    out = BytesIO()
    schemaless_writer(out, "long", number)
    return out.getvalue()


BASKET = {"type": "record", "name": "B", "fields": [{"name": "items", "type": {"type": "array", "items": "long"}}]}


@pytest.mark.parametrize("count", [MAX_ITEMS + 1, 2**40, 2**62])
def test_an_array_that_announces_too_much_is_refused_before_it_is_walked(count: int) -> None:
    assert refused(BASKET, long(count) + bytes(MAX_ITEMS + 1)) is Reason.TOO_MANY_VALUES


def test_many_small_blocks_announce_as_much_as_a_large_one() -> None:
    block = long(2_000) + bytes(2_000)
    StrictCheck(BASKET)(block * 50 + b"\x00")
    assert refused(BASKET, block * 51 + b"\x00") is Reason.TOO_MANY_VALUES


def test_each_body_may_announce_as_much_as_the_one_before() -> None:
    check, body = StrictCheck(BASKET), long(2_000) + bytes(2_001)
    for _ in range(60):
        check(body)
