"""Keys, fields and values are, byte for byte, what Feast's own functions make of the same things."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from feast import ValueType
from feast.infra.online_stores.helpers import _mmh3, _redis_key
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value as ValueProto
from feast.type_map import python_values_to_proto_values
from google.protobuf.timestamp_pb2 import Timestamp  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from features.online import format as feast_format
from features.rows import Value
from features.views import VIEWS, Feature, Kind, View
from tests.features.examples import NOW

TYPES = {
    Kind.STRING: ValueType.STRING,
    Kind.STRINGS: ValueType.STRING_LIST,
    Kind.DOUBLE: ValueType.DOUBLE,
    Kind.DOUBLES: ValueType.DOUBLE_LIST,
    Kind.INTS: ValueType.INT64_LIST,
    Kind.INSTANT: ValueType.UNIX_TIMESTAMP,
}
INSTANTS = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
VALUES: dict[Kind, st.SearchStrategy[Value]] = {
    Kind.STRING: st.text(),
    Kind.STRINGS: st.lists(st.text(), min_size=1, max_size=5),
    Kind.DOUBLE: st.floats(allow_nan=False),
    Kind.DOUBLES: st.lists(st.floats(allow_nan=False), min_size=1, max_size=5),
    Kind.INTS: st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=5),
    Kind.INSTANT: INSTANTS.map(lambda instant: instant.replace(microsecond=0)),
}


def feature(kind: Kind) -> Feature:
    return Feature(name="x", kind=kind, doc="")


@given(st.text(), st.sampled_from(VIEWS))
def test_keys_are_those_of_feast(key: str, view: View) -> None:
    proto = EntityKey(join_keys=[view.join_key], entity_values=[ValueProto(string_val=key)])
    assert feast_format.entity_key("cosmo", view, key) == _redis_key("cosmo", proto, 3)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_fields_are_those_of_feast(view: View) -> None:
    for name in view.names:
        assert feast_format.field(view, name) == _mmh3(f"{view.name}:{name}")


@given(st.sampled_from(Kind).flatmap(lambda kind: st.tuples(st.just(kind), VALUES[kind])))
def test_values_are_those_of_feast_and_come_back(case: tuple[Kind, Value]) -> None:
    kind, value = case
    (theirs,) = python_values_to_proto_values([value], TYPES[kind])
    ours = feast_format.encode(feature(kind), value)
    assert ours == theirs.SerializeToString()
    assert feast_format.decode(feature(kind), ours) == value


@pytest.mark.parametrize("kind", Kind)
def test_null_is_feasts_null(kind: Kind) -> None:
    assert feast_format.encode(feature(kind), None) == ValueProto().SerializeToString()
    assert feast_format.decode(feature(kind), b"") is None
    assert feast_format.decode(feature(kind), None) is None


@pytest.mark.parametrize("kind", [Kind.STRINGS, Kind.DOUBLES, Kind.INTS])
def test_an_empty_list_is_not_null(kind: Kind) -> None:
    empty = feast_format.encode(feature(kind), [])
    assert empty != b""
    assert feast_format.decode(feature(kind), empty) == []


@given(INSTANTS)
def test_event_timestamps_are_those_of_feast_and_come_back(instant: datetime) -> None:
    theirs = Timestamp()
    theirs.FromDatetime(instant)
    assert feast_format.encode_timestamp(instant) == theirs.SerializeToString()
    assert feast_format.decode_timestamp(feast_format.encode_timestamp(instant)) == instant


def test_two_instants_a_millisecond_apart_are_two_versions() -> None:
    tick = timedelta(milliseconds=1)
    assert feast_format.encode_timestamp(NOW) != feast_format.encode_timestamp(NOW + tick)
