"""Which schema can read what which other has written, and what each topic promises about it.

Resolution follows the Avro specification ("Schema Resolution") by Apache's own checker. One rule is added: two
different logical types on one field are incompatible, though their bytes are not, because milliseconds read as
microseconds are wrong in silence. A logical type that only one side has is no obstacle.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from typing import Any

from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.errors import AvroException
from avro.schema import parse as parse_avro
from fastavro import parse_schema
from fastavro.schema import SchemaParseException

from schemas.avsc import AvroSchema
from schemas.shape import branch_name, branches, named_types, without_logical_types

_UNPARSABLE = (AvroException, SchemaParseException, ValueError, KeyError, TypeError, AttributeError, RecursionError)


class Level(StrEnum):
    """A subject's compatibility level; the value is the registry's own word."""

    FULL_TRANSITIVE = "FULL_TRANSITIVE"
    """Every version reads every other: producers and workers may be upgraded in any order."""
    BACKWARD_TRANSITIVE = "BACKWARD_TRANSITIVE"
    """Every version reads every earlier one: readers are upgraded first."""


_FULL = frozenset({"query-purchase", "co-purchase", "intent-requests"})


def level(topic_name: str) -> Level:
    """FULL_TRANSITIVE where others than our workers write, BACKWARD_TRANSITIVE where only they do."""
    return Level.FULL_TRANSITIVE if topic_name in _FULL else Level.BACKWARD_TRANSITIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """One reason why ``reader`` cannot read what ``writer`` wrote; both are versions of one topic's schema."""

    topic: str
    reader: int
    writer: int
    problem: str

    def __str__(self) -> str:
        return f"{self.topic}: version {self.reader} cannot read version {self.writer}: {self.problem}."


def invalid(schema: AvroSchema) -> str | None:
    """What is wrong with a schema by itself; None for one that both of our Avro libraries accept."""
    try:
        bare = without_logical_types(schema)
        parse_avro(json.dumps(bare))
        parse_schema(bare)
    except _UNPARSABLE as error:
        return f"not a valid Avro schema: {error}"
    return None


def obstacles(reader: AvroSchema, writer: AvroSchema) -> tuple[str, ...]:
    """Why ``reader`` cannot read everything that ``writer`` can write; empty when it can."""
    wrong = tuple(problem for problem in (invalid(reader), invalid(writer)) if problem)
    return wrong or (*_unresolvable(reader, writer), *_other_units(reader, writer))


def check(topic_name: str, schemas: Mapping[int, AvroSchema], promised: Level) -> Iterator[Obstacle]:
    """Every obstacle among the versions of one topic, each against every later one."""
    for older, newer in combinations(sorted(schemas), 2):
        pairs = [(newer, older), (older, newer)] if promised is Level.FULL_TRANSITIVE else [(newer, older)]
        for reader, writer in pairs:
            for problem in obstacles(schemas[reader], schemas[writer]):
                yield Obstacle(topic=topic_name, reader=reader, writer=writer, problem=problem)


def _unresolvable(reader: AvroSchema, writer: AvroSchema) -> Iterator[str]:
    ours, theirs = (parse_avro(json.dumps(without_logical_types(schema))) for schema in (reader, writer))
    checker = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]
    result = checker.get_compatibility(ours, theirs)
    if result.compatibility is SchemaCompatibilityType.incompatible:
        kinds = ", ".join(dict.fromkeys(kind.value.replace("_", " ") for kind in result.incompatibilities))
        yield f"{kinds} at {', '.join(sorted(result.locations))} ({'; '.join(sorted(result.messages))})"


def _other_units(reader: AvroSchema, writer: AvroSchema) -> Iterator[str]:
    yield from _units(reader, writer, "/", _Names(named_types(reader), named_types(writer)), set())


@dataclass(frozen=True, slots=True)
class _Names:
    reader: Mapping[str, dict[str, Any]]
    writer: Mapping[str, dict[str, Any]]


def _units(reader: Any, writer: Any, where: str, names: _Names, seen: set[tuple[str, str]]) -> Iterator[str]:
    """Walk both schemas side by side, as far as they are alike."""
    for ours in branches(reader, names.reader):
        for theirs in branches(writer, names.writer):
            if branch_name(ours) == branch_name(theirs):
                yield from _unit(ours, theirs, where, names, seen)


def _unit(
    ours: dict[str, Any], theirs: dict[str, Any], where: str, names: _Names, seen: set[tuple[str, str]]
) -> Iterator[str]:
    units = ours.get("logicalType"), theirs.get("logicalType")
    if None not in units and units[0] != units[1]:
        yield f"logical type {units[0]} at {where} was {units[1]}"
    for nested in ("items", "values"):
        if nested in ours:
            yield from _units(ours[nested], theirs[nested], f"{where}{nested}/", names, seen)
    pair = (ours.get("name", ""), theirs.get("name", ""))
    if "fields" not in ours or pair in seen:
        return
    seen.add(pair)
    written = {field["name"]: field for field in theirs["fields"]}
    for field in ours["fields"]:
        if field["name"] in written:
            deeper = written[field["name"]]["type"]
            yield from _units(field["type"], deeper, f"{where}{field['name']}/", names, seen)
