"""What goes out is never coerced."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from schemas.codec import Codec
from schemas.convert import converter
from schemas.errors import Unencodable
from schemas.fixed_registry import FixedRegistry
from schemas.records import BehaviorPair, CoPurchase, PairKind, Product, QueryPurchase, SampleReason
from tests.schemas.examples import CO_PURCHASE, NOW, QUERY_PURCHASE, UMBRELLA

REGISTRY = FixedRegistry()
QUERIES = Codec("query-purchase", QueryPurchase, REGISTRY)
BASKETS = Codec("co-purchase", CoPurchase, REGISTRY)
PAIRS = Codec("behavior-pairs", BehaviorPair, REGISTRY)
PAIR = BehaviorPair(
    pair_id="p",
    kind=PairKind.SEARCH_BUY,
    query="umbrella",
    products=(Product(product_id="B01", title="Umbrella"),),
    event_time=NOW,
    sampled_time=NOW,
    support=3,
    reason=SampleReason.NEW,
    priority=1.5,
)

WRONG_QUERIES: dict[str, dict[str, Any]] = {
    "number for text": {"query": 5},
    "bytes for text": {"query": b"umbrella"},
    "nothing for text": {"query": None},
    "text for an enum": {"action": "PURCHASE"},
    "text for an instant": {"event_time": "2026-03-01T12:00:00Z"},
    "number for an instant": {"event_time": 1_772_366_400_000},
    "instant without zone": {"event_time": datetime(2026, 3, 1)},  # noqa: DTZ001 - the mistake itself
    "dict for a record": {"product": {"product_id": "B01", "title": "Umbrella"}},
    "number in a map": {"product": replace(UMBRELLA, attributes={"size": 5})},  # type: ignore[dict-item]
    "number as a map's key": {"product": replace(UMBRELLA, attributes={5: "size"})},  # type: ignore[dict-item]
    "list for a map": {"product": replace(UMBRELLA, attributes=[("a", "b")])},  # type: ignore[arg-type]
    "half a surrogate pair": {"query": "umbrella \ud83d"},
}


@pytest.mark.parametrize("kind", WRONG_QUERIES)
def test_a_value_of_another_type_is_never_coerced(kind: str) -> None:
    with pytest.raises(Unencodable):
        QUERIES.encode(replace(QUERY_PURCHASE, **WRONG_QUERIES[kind]))


WRONG_PAIRS: dict[str, dict[str, Any]] = {
    "float for a count": {"support": 3.0},
    "truth for a count": {"support": True},
    "count over 64 bits": {"support": 2**63},
    "text for a float": {"priority": "1.5"},
    "truth for a float": {"priority": True},
    "list for a tuple": {"product_types": ["umbrella"]},
    "text for a tuple": {"product_types": "umbrella"},
}


@pytest.mark.parametrize("kind", WRONG_PAIRS)
def test_a_number_or_list_of_another_type_is_never_coerced(kind: str) -> None:
    with pytest.raises(Unencodable):
        PAIRS.encode(replace(PAIR, **WRONG_PAIRS[kind]))


def test_the_error_names_the_field() -> None:
    wrong = replace(CO_PURCHASE, items=(UMBRELLA, replace(UMBRELLA, title=5)))  # type: ignore[arg-type]
    with pytest.raises(Unencodable, match=r"items\[\]\.title: int where str is wanted"):
        BASKETS.encode(wrong)


def test_a_whole_number_is_a_float() -> None:
    assert PAIRS.decode(PAIRS.encode(replace(PAIR, priority=2))).priority == 2.0


def test_a_64_bit_count_is_carried() -> None:
    assert PAIRS.decode(PAIRS.encode(replace(PAIR, support=2**63 - 1))).support == 2**63 - 1


def test_another_record_type_is_refused() -> None:
    with pytest.raises(Unencodable, match="CoPurchase where QueryPurchase is wanted"):
        QUERIES.encode(CO_PURCHASE)  # type: ignore[arg-type]


RECORD = {"type": "record", "name": "Product", "fields": [{"name": "product_id", "type": "string"}]}


def _with(*fields: dict[str, Any]) -> dict[str, Any]:
    return {**RECORD, "fields": [*RECORD["fields"], *fields]}


@pytest.mark.parametrize(
    "schema",
    [
        RECORD,  # title is missing and has no default
        _with({"name": "title", "type": "long"}),
        _with({"name": "title", "type": ["null", "string"]}),
        _with({"name": "title", "type": "string"}, {"name": "colour", "type": "string"}),
        _with({"name": "title", "type": "string"}, {"name": "category", "type": "string"}),
        _with({"name": "title", "type": "string"}, {"name": "category", "type": ["null", "string", "long"]}),
    ],
)
def test_a_dataclass_that_differs_from_its_schema_is_found_when_the_converter_is_built(schema: Any) -> None:
    with pytest.raises(TypeError):
        converter(schema, Product)
