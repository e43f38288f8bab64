"""Records survive the codec unchanged; bytes that are no record are told apart by reason."""

from __future__ import annotations

import struct
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any
from uuid import UUID

import pytest
from fastavro import schemaless_writer
from hypothesis import given
from hypothesis import strategies as st

from schemas import avsc
from schemas.codec import Codec, split_frame
from schemas.errors import Reason, Undecodable
from schemas.fixed_registry import FixedRegistry
from schemas.framing import VALUE_SCHEMA_HEADER, guid_header, id_frame
from schemas.records import BY_TOPIC, Action, CoPurchase, Intent, QueryPurchase, Record
from schemas.shape import without_logical_types
from tests.schemas.examples import CO_PURCHASE, QUERY_PURCHASE
from tests.schemas.strategies import any_topic, records

REGISTRY = FixedRegistry()
CODECS: dict[str, Codec[Any]] = {name: Codec(name, record, REGISTRY) for name, record in BY_TOPIC.items()}
QUERIES: Codec[QueryPurchase] = CODECS["query-purchase"]
BASKETS: Codec[CoPurchase] = CODECS["co-purchase"]
GOOD = QUERIES.encode(QUERY_PURCHASE)
BODY = GOOD[5:]


def reason_of(value: bytes | None, headers: Any = (), codec: Codec[Any] = QUERIES) -> Reason:
    with pytest.raises(Undecodable) as caught:
        codec.decode(value, headers)
    return caught.value.reason


@given(st.data(), any_topic())
def test_every_record_comes_back_as_it_went(data: st.DataObject, topic: str) -> None:
    record: Record = data.draw(records(topic))
    assert CODECS[topic].decode(CODECS[topic].encode(record)) == record


def test_the_frame_is_a_zero_byte_and_four_bytes_of_schema_id() -> None:
    assert GOOD[:5] == struct.pack(">bI", 0, REGISTRY.schema_id("query-purchase"))
    assert id_frame(7) == b"\x00\x00\x00\x00\x07"


def test_a_guid_in_the_header_stands_for_the_frame() -> None:
    header = guid_header(REGISTRY.guid(QUERIES.schema_id))
    assert header[1][0] == 1
    assert len(header[1]) == 17
    assert QUERIES.decode(BODY, [("traceparent", b"00-1"), header]) == QUERY_PURCHASE


def test_a_guid_before_the_body_is_read_as_confluents_clients_read_it() -> None:
    _, content = guid_header(REGISTRY.guid(QUERIES.schema_id))
    assert QUERIES.decode(content + BODY) == QUERY_PURCHASE


def test_an_id_in_the_header_is_read_as_confluents_clients_read_it() -> None:
    assert QUERIES.decode(BODY, [(VALUE_SCHEMA_HEADER, id_frame(QUERIES.schema_id))]) == QUERY_PURCHASE


def test_the_header_wins_over_the_first_bytes() -> None:
    assert reason_of(GOOD, [guid_header(REGISTRY.guid(QUERIES.schema_id))]) in Reason


def test_a_header_without_value_is_no_header() -> None:
    assert QUERIES.decode(GOOD, [(VALUE_SCHEMA_HEADER, None)]) == QUERY_PURCHASE


def test_split_frame_gives_key_and_offset_without_reading_the_body() -> None:
    guid = UUID(int=5)
    assert split_frame(id_frame(9) + b"?") == (9, 5)
    assert split_frame(b"?", [guid_header(guid)]) == (guid, 0)
    assert split_frame(guid_header(guid)[1] + b"?") == (guid, 17)


FOREIGN = id_frame(REGISTRY.schema_id("behavior-pairs"))
TABLE: dict[str, tuple[bytes | None, Any, Reason]] = {
    "null value": (None, (), Reason.NULL_VALUE),
    "empty value": (b"", (), Reason.EMPTY_VALUE),
    "json": (b'{"query": "umbrella"}', (), Reason.WRONG_MAGIC),
    "magic byte 2": (b"\x02" + GOOD[1:], (), Reason.WRONG_MAGIC),
    "magic byte 0xff": (b"\xff" + GOOD[1:], (), Reason.WRONG_MAGIC),
    "one byte": (b"\x00", (), Reason.TRUNCATED_FRAME),
    "half an id": (GOOD[:3], (), Reason.TRUNCATED_FRAME),
    "half a guid": (b"\x01" + bytes(10), (), Reason.TRUNCATED_FRAME),
    "empty header": (BODY, [(VALUE_SCHEMA_HEADER, b"")], Reason.BAD_SCHEMA_HEADER),
    "short header": (BODY, [(VALUE_SCHEMA_HEADER, b"\x01abc")], Reason.BAD_SCHEMA_HEADER),
    "long header": (BODY, [(VALUE_SCHEMA_HEADER, b"\x01" + bytes(17))], Reason.BAD_SCHEMA_HEADER),
    "header of another magic": (BODY, [(VALUE_SCHEMA_HEADER, b"\x07" + bytes(16))], Reason.BAD_SCHEMA_HEADER),
    "unknown id": (id_frame(4_000_000) + BODY, (), Reason.UNKNOWN_SCHEMA),
    "largest id": (b"\x00\xff\xff\xff\xff" + BODY, (), Reason.UNKNOWN_SCHEMA),
    "unknown guid": (BODY, [guid_header(UUID(int=1))], Reason.UNKNOWN_SCHEMA),
    "another topic's schema": (FOREIGN + BODY, (), Reason.SCHEMA_MISMATCH),
    "frame without body": (GOOD[:5], (), Reason.TRUNCATED),
    "last byte missing": (GOOD[:-1], (), Reason.TRUNCATED),
    "one byte more": (GOOD + b"\x00", (), Reason.TRAILING_BYTES),
    "two records": (GOOD + BODY, (), Reason.TRAILING_BYTES),
    "not utf-8": (GOOD.replace(b"storms", b"st\xff\xferm"), (), Reason.INVALID_UTF8),
    "lone surrogate": (GOOD.replace(b"storms", b"st\xed\xa0\x80s"), (), Reason.LONE_SURROGATE),
    "negative length": (GOOD[:5] + b"\x07" + GOOD[6:], (), Reason.DAMAGED),
    "length of 2^62": (GOOD[:5] + b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f" + GOOD[6:], (), Reason.TRUNCATED),
    "number without end": (GOOD[:5] + b"\xff" * 20, (), Reason.DAMAGED),
    "all zeros": (GOOD[:5] + bytes(len(BODY)), (), Reason.TRAILING_BYTES),
}


@pytest.mark.parametrize("kind", TABLE)
def test_each_kind_of_bad_bytes_has_its_reason(kind: str) -> None:
    value, headers, reason = TABLE[kind]
    assert reason_of(value, headers) is reason


@given(st.binary(max_size=200), st.booleans())
def test_random_bytes_are_undecodable_and_nothing_worse(noise: bytes, framed: bool) -> None:
    for codec in CODECS.values():
        value = id_frame(codec.schema_id) + noise if framed else noise
        try:
            codec.decode(value)
        except Undecodable as error:
            assert error.detail  # noqa: PT017 - a random body may happen to be a record


@given(st.data(), any_topic())
def test_every_cut_is_undecodable(data: st.DataObject, topic: str) -> None:
    value = CODECS[topic].encode(data.draw(records(topic)))
    cut = data.draw(st.integers(0, len(value) - 1))
    assert reason_of(value[:cut], codec=CODECS[topic]) in {
        Reason.EMPTY_VALUE,
        Reason.TRUNCATED_FRAME,
        Reason.TRUNCATED,
    }


@given(st.data(), any_topic())
def test_a_damaged_record_is_refused_or_reads_back_the_same(data: st.DataObject, topic: str) -> None:
    """What passes must be a record that an encoder could have meant: encoding it again loses nothing."""
    codec = CODECS[topic]
    value = bytearray(codec.encode(data.draw(records(topic))))
    at = data.draw(st.integers(5, len(value) - 1))
    value[at] = data.draw(st.integers(0, 255))
    try:
        record = codec.decode(bytes(value))
    except Undecodable:
        return
    assert repr(codec.decode(codec.encode(record))) == repr(record)


def _symbol(index: int) -> bytes:
    """The good record with another number in the place of its action."""
    at = GOOD.index(b"storms") + len(b"storms")
    assert GOOD[at] == 2 * list(Action).index(Action.PURCHASE)
    return GOOD[:at] + bytes((2 * index if index >= 0 else -2 * index - 1,)) + GOOD[at + 1 :]


@pytest.mark.parametrize("index", [-1, -3, 5, 60])
def test_an_action_out_of_range_is_damage_and_never_the_last_symbol(index: int) -> None:
    assert reason_of(_symbol(index)) is Reason.DAMAGED


def test_microseconds_sent_as_milliseconds_have_their_own_reason() -> None:
    codec, micros = CODECS["query-purchase"], 1_772_366_400_000_000
    schema = deepcopy(avsc.load("query-purchase"))
    datum = codec.reader(codec.schema_id).read(BODY) | {"event_time": micros}
    assert (
        reason_of(id_frame(REGISTRY.schema_id("query-purchase")) + _encoded(schema, datum)) is Reason.TIME_OUT_OF_RANGE
    )


def _encoded(schema: Any, datum: Any) -> bytes:
    out = BytesIO()
    schemaless_writer(out, without_logical_types(schema), datum)
    return out.getvalue()


def _written_with(change: Any, **more: Any) -> bytes:
    """The good record as a producer with another version of the schema writes it."""
    schema = deepcopy(avsc.load("query-purchase"))
    change(schema)
    datum = QUERIES.reader(QUERIES.schema_id).read(BODY) | more
    return id_frame(REGISTRY.add(schema)) + _encoded(schema, datum)


def test_an_older_schema_without_an_optional_field_gives_its_default() -> None:
    def without_locale(schema: Any) -> None:
        schema["fields"] = [field for field in schema["fields"] if field["name"] != "locale"]

    assert QUERIES.decode(_written_with(without_locale)) == replace(QUERY_PURCHASE, locale=None)


def test_a_newer_schema_with_one_more_field_is_read_without_it() -> None:
    def with_position(schema: Any) -> None:
        schema["fields"].insert(2, {"name": "position", "type": ["null", "int"], "default": None})

    assert QUERIES.decode(_written_with(with_position, position=3)) == QUERY_PURCHASE


def test_a_logical_type_that_does_not_hold_together_is_ignored() -> None:
    """As Avro says, and as registries do: a scale beyond the precision must not end every reader of the topic."""

    def with_price(schema: Any) -> None:
        price = {"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": 4}
        schema["fields"].append({"name": "price", "type": ["null", price], "default": None})

    assert QUERIES.decode(_written_with(with_price, price=None)) == QUERY_PURCHASE


def test_a_newer_action_is_read_as_unknown() -> None:
    def with_wish(schema: Any) -> None:
        action = next(field for field in schema["fields"] if field["name"] == "action")
        action["type"]["symbols"].append("ADD_TO_WISHLIST")

    assert QUERIES.decode(_written_with(with_wish, action="ADD_TO_WISHLIST")).action is Action.UNKNOWN


def test_other_documentation_makes_no_other_schema() -> None:
    def reworded(schema: Any) -> None:
        schema["doc"] = "In other words."

    value = _written_with(reworded)
    assert QUERIES.decode(value) == QUERY_PURCHASE
    assert QUERIES.reader(split_frame(value)[0]).same


def test_an_instant_in_another_unit_is_a_mismatch() -> None:
    def in_micros(schema: Any) -> None:
        schema["fields"][1]["type"]["logicalType"] = "timestamp-micros"

    assert reason_of(_written_with(in_micros)) is Reason.SCHEMA_MISMATCH


def test_an_array_of_nothing_cannot_claim_a_billion_items() -> None:
    def hollow(schema: Any) -> None:
        schema["fields"].append({"name": "bomb", "type": {"type": "array", "items": "null"}, "default": []})

    assert reason_of(_written_with(hollow, bomb=[])) is Reason.SCHEMA_MISMATCH


@pytest.mark.parametrize(
    "schema", ["string", {"type": "record", "name": "QueryPurchase", "fields": 5}, [["null"]], {"type": "no type"}]
)
def test_a_writer_schema_that_is_none_of_ours_is_a_mismatch(schema: Any) -> None:
    assert reason_of(id_frame(REGISTRY.add(schema)) + BODY) is Reason.SCHEMA_MISMATCH


def test_blocks_with_a_byte_count_are_read() -> None:
    """Java's blocking encoder writes a negative item count and the block's size, so that readers can skip."""
    body = BASKETS.encode(CO_PURCHASE)[5:]
    head, _, items = body.partition(b"o-1\x04")
    size = len(items) - 1  # without the empty block that ends the array
    blocked, lying = (head + b"o-1\x03" + _encoded("long", stated) + items for stated in (size, size - 1))
    assert BASKETS.decode(id_frame(BASKETS.schema_id) + blocked) == CO_PURCHASE
    assert reason_of(id_frame(BASKETS.schema_id) + lying, codec=BASKETS) is Reason.DAMAGED


def test_an_instant_is_kept_to_the_millisecond() -> None:
    fine = datetime(2026, 1, 1, 0, 0, 0, 123_999, tzinfo=UTC)
    kept = QUERIES.decode(QUERIES.encode(replace(QUERY_PURCHASE, event_time=fine))).event_time
    assert kept == fine - timedelta(microseconds=999)


def test_an_intent_of_the_first_version_keeps_the_typicality_that_it_states() -> None:
    """Version 1 could not say that nobody had judged it; version 2 can, and reads both."""
    first = FixedRegistry()
    number = first.add(avsc.load("intents", 1))
    names = dict.fromkeys(
        ("intent_id", "pair_id", "head", "relation", "tail", "tail_key", "template_id", "model_id"), "x"
    )
    figures = {"plausibility": 0.7, "typicality": 0.9, "support": 4, "event_time": 0, "generated_time": 0}
    old: dict[str, Any] = {"head_kind": "QUERY", **names, **figures}
    out = BytesIO(id_frame(number))
    out.seek(0, 2)
    schemaless_writer(out, without_logical_types(avsc.load("intents", 1)), old)
    intents = Codec("intents", Intent, first)
    found = intents.decode(out.getvalue())
    assert found.typicality == 0.9
    assert intents.decode(intents.encode(replace(found, typicality=None))).typicality is None


def test_a_record_type_that_does_not_fit_the_topic_is_refused_at_once() -> None:
    with pytest.raises(TypeError):
        Codec("query-purchase", CoPurchase, REGISTRY)
