"""Hypothesis strategies for every record type, derived from the types themselves so that no field is forgotten."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from schemas import avsc
from schemas.records import BY_TOPIC, Product, Record
from schemas.shape import named_types

INT32 = st.integers(-(2**31), 2**31 - 1)
INSTANTS = st.datetimes(timezones=st.just(UTC)).map(
    lambda instant: instant.replace(microsecond=instant.microsecond // 1000 * 1000)
)


def records(topic_name: str) -> st.SearchStrategy[Record]:
    """Any record that the topic's newest schema can carry."""
    return _values(BY_TOPIC[topic_name], carries_attributes(topic_name))


def any_topic() -> st.SearchStrategy[str]:
    return st.sampled_from(sorted(BY_TOPIC))


def carries_attributes(topic_name: str) -> bool:
    product = named_types(avsc.load(topic_name)).get("cosmo.events.Product", {"fields": []})
    return "attributes" in {field["name"] for field in product["fields"]}


def _values(hint: Any, attributes: bool) -> st.SearchStrategy[Any]:
    if isinstance(hint, type) and is_dataclass(hint):
        return _instances(hint, attributes)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return st.sampled_from(hint)
    origin, inner = get_origin(hint), get_args(hint)
    if origin in {Union, types.UnionType}:
        return st.none() | _values(next(part for part in inner if part is not types.NoneType), attributes)
    if origin is tuple:
        return st.lists(_values(inner[0], attributes), max_size=3).map(tuple)
    if origin is Mapping:
        return st.dictionaries(st.text(max_size=4), _values(inner[1], attributes), max_size=3)
    return _SCALARS[hint]


def _instances(record_type: type, attributes: bool) -> st.SearchStrategy[Any]:
    hints = get_type_hints(record_type)
    parts = {field.name: _values(hints[field.name], attributes) for field in fields(record_type)}
    if record_type is Product and not attributes:
        del parts["attributes"]
    return st.builds(record_type, **parts)


_SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=12),
    bytes: st.binary(max_size=12),
    bool: st.booleans(),
    int: INT32,
    float: st.floats(allow_nan=False),
    datetime: INSTANTS,
}
