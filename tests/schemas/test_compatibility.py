"""Which evolutions of a schema are allowed, told one by one."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pytest

from schemas import avsc
from schemas.compatibility import Level, Obstacle, check, level, obstacles

FULL, BACKWARD = Level.FULL_TRANSITIVE, Level.BACKWARD_TRANSITIVE
BASE: dict[str, Any] = {
    "type": "record",
    "name": "Order",
    "namespace": "shop",
    "fields": [
        {"name": "order_id", "type": "string"},
        {"name": "amount", "type": "int"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "note", "type": ["null", "string"], "default": None},
        {"name": "state", "type": {"type": "enum", "name": "State", "symbols": ["NEW", "PAID"], "default": "NEW"}},
        {"name": "lines", "type": {"type": "array", "items": {"type": "record", "name": "Line", "fields": [
            {"name": "sku", "type": "string"}, {"name": "until", "type": {"type": "int", "logicalType": "date"}},
        ]}}},
    ],
}  # fmt: skip


def field(schema: Any, name: str) -> Any:
    return next(part for part in schema["fields"] if part["name"] == name)


def added(**definition: Any) -> Any:
    return lambda schema: schema["fields"].append(definition)


def removed(name: str) -> Any:
    return lambda schema: schema["fields"].remove(field(schema, name))


def typed(name: str, kind: Any) -> Any:
    return lambda schema: field(schema, name).update(type=kind)


def symbol_added(schema: Any) -> None:
    field(schema, "state")["type"]["symbols"].append("SENT")


def symbol_added_without_default(schema: Any) -> None:
    del field(schema, "state")["type"]["default"]
    symbol_added(schema)


def symbol_removed(schema: Any) -> None:
    field(schema, "state")["type"]["symbols"].remove("PAID")


def note_required(schema: Any) -> None:
    del field(schema, "note")["default"]
    typed("note", "string")(schema)


def date_became_days(schema: Any) -> None:
    del field(schema, "lines")["type"]["items"]["fields"][1]["type"]["logicalType"]


def date_became_time(schema: Any) -> None:
    field(schema, "lines")["type"]["items"]["fields"][1]["type"]["logicalType"] = "time-millis"


def field_renamed(schema: Any) -> None:
    field(schema, "order_id").update(name="id")


def field_renamed_with_alias(schema: Any) -> None:
    field(schema, "order_id").update(name="id", aliases=["order_id"])


def record_renamed(schema: Any) -> None:
    schema["name"] = "Basket"


@dataclass(frozen=True)
class Evolution:
    """A change, and whether the new schema reads the old records, and the old schema the new ones."""

    change: Any
    new_reads_old: bool
    old_reads_new: bool


MICROS = {"type": "long", "logicalType": "timestamp-micros"}
EVOLUTIONS = {
    "nothing": Evolution(lambda schema: None, True, True),
    "field added with default": Evolution(added(name="shop", type="string", default=""), True, True),
    "field added without default": Evolution(added(name="shop", type="string"), False, True),
    "field with default removed": Evolution(removed("note"), True, True),
    "field without default removed": Evolution(removed("amount"), True, False),
    "symbol added to an enum with default": Evolution(symbol_added, True, True),
    "symbol added to an enum, default dropped": Evolution(symbol_added_without_default, True, True),
    "symbol removed from an enum with default": Evolution(symbol_removed, True, True),
    "int became long": Evolution(typed("amount", "long"), True, False),
    "int became string": Evolution(typed("amount", "string"), False, False),
    "string became optional": Evolution(typed("order_id", ["null", "string"]), True, False),
    "optional became required": Evolution(note_required, False, True),
    "union got a branch": Evolution(typed("note", ["null", "string", "long"]), True, False),
    "milliseconds became microseconds": Evolution(typed("at", MICROS), False, False),
    "instant became bare number": Evolution(typed("at", "long"), True, True),
    "date became another type deep inside": Evolution(date_became_time, False, False),
    "date became bare number deep inside": Evolution(date_became_days, True, True),
    "field renamed": Evolution(field_renamed, False, False),
    "field renamed with alias": Evolution(field_renamed_with_alias, True, False),
    "record renamed": Evolution(record_renamed, False, False),
}


@pytest.mark.parametrize("kind", EVOLUTIONS)
def test_each_evolution_is_judged_in_both_directions(kind: str) -> None:
    evolution, newer = EVOLUTIONS[kind], deepcopy(BASE)
    evolution.change(newer)
    assert (not obstacles(newer, BASE), not obstacles(BASE, newer)) == (
        evolution.new_reads_old,
        evolution.old_reads_new,
    )


@pytest.mark.parametrize("kind", EVOLUTIONS)
def test_the_level_decides_which_directions_count(kind: str) -> None:
    evolution, newer = EVOLUTIONS[kind], deepcopy(BASE)
    evolution.change(newer)
    versions = {1: BASE, 2: newer}
    assert (not list(check("orders", versions, BACKWARD))) == evolution.new_reads_old
    assert (not list(check("orders", versions, FULL))) == (evolution.new_reads_old and evolution.old_reads_new)


def test_transitive_means_every_pair_and_not_only_neighbours() -> None:
    """2 drops a field and 3 brings it back with another type: each neighbour is fine, 3 cannot read 1."""
    second, third = deepcopy(BASE), deepcopy(BASE)
    removed("note")(second)
    removed("note")(third)
    added(name="note", type=["null", "long"], default=None)(third)
    found = {
        (obstacle.reader, obstacle.writer) for obstacle in check("orders", {1: BASE, 2: second, 3: third}, BACKWARD)
    }
    assert found == {(3, 1)}


def test_an_obstacle_is_one_sentence_that_names_the_place() -> None:
    newer = deepcopy(BASE)
    added(name="shop", type="string")(newer)
    [found] = check("orders", {1: BASE, 2: newer}, FULL)
    assert found == Obstacle(topic="orders", reader=2, writer=1, problem=found.problem)
    assert str(found).startswith("orders: version 2 cannot read version 1: reader field missing default value")
    assert "shop" in str(found)


def test_a_unit_is_named_with_its_field() -> None:
    newer = deepcopy(BASE)
    typed("at", MICROS)(newer)
    assert obstacles(newer, BASE) == ("logical type timestamp-micros at /at/ was timestamp-millis",)


@pytest.mark.parametrize(
    "schema",
    [
        "nonsense",
        {},
        {"type": "array"},
        {"type": "record", "name": "1", "fields": []},
        {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}, {"name": "a", "type": "int"}]},
        {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int", "default": "text"}]},
        {"type": "record", "name": "R", "fields": 5},
    ],
)
def test_a_schema_that_is_not_valid_is_an_obstacle_in_either_place(schema: Any) -> None:
    assert "not a valid Avro schema" in obstacles(BASE, schema)[0]
    assert "not a valid Avro schema" in obstacles(schema, BASE)[0]


def test_a_schema_that_contains_itself_is_compared_to_its_end() -> None:
    tree = {"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]}
    assert obstacles(tree, deepcopy(tree)) == ()


@pytest.mark.parametrize("topic", avsc.topics())
def test_every_past_version_keeps_the_promise_of_its_topic(topic: str) -> None:
    versions = {version: avsc.load(topic, version) for version in avsc.versions(topic)}
    assert list(check(topic, versions, level(topic))) == []


def test_what_others_write_is_fully_compatible_and_the_rest_backward() -> None:
    full = {topic for topic in avsc.topics() if level(topic) is FULL}
    assert full == {"query-purchase", "co-purchase", "intent-requests"}
