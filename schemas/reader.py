"""Reads the bodies that one schema has written, as our own schema sees them."""

from __future__ import annotations

from io import BytesIO
from typing import Any, cast

from fastavro import parse_schema, schemaless_reader
from fastavro.read import SchemaResolutionError

from schemas.avsc import AvroSchema
from schemas.compatibility import obstacles
from schemas.errors import Reason, Undecodable
from schemas.shape import branches, may_be_empty, named_types, without_logical_types
from schemas.strict import StrictCheck

_DECODE_ERRORS = (
    EOFError,
    LookupError,
    ValueError,
    ArithmeticError,
    RecursionError,
    MemoryError,
    SchemaResolutionError,
)


class BodyReader:
    """One writer's schema resolved to ours; built once per schema id, kept for the life of the process.

    Building raises Undecodable (schema_mismatch) when our schema cannot read everything the writer's can write.
    """

    def __init__(self, *, ours: AvroSchema, writer: AvroSchema) -> None:
        _accept(ours, writer)
        self.schema = writer
        bare = without_logical_types(writer)
        self._writer = parse_schema(bare)
        self._ours: Any = parse_schema(without_logical_types(ours))
        if self._writer == self._ours:
            self._ours = None  # nothing to resolve
        self._strict = StrictCheck(bare)

    def read(self, body: bytes) -> dict[str, Any]:
        """The record as our schema has it; Undecodable for anything but exactly one record."""
        self._strict(body)
        try:
            return cast("dict[str, Any]", schemaless_reader(BytesIO(body), self._writer, self._ours))
        except _DECODE_ERRORS as error:
            raise Undecodable(Reason.DAMAGED, f"{type(error).__name__}: {error}") from error


def _accept(ours: AvroSchema, writer: AvroSchema) -> None:
    problems = obstacles(ours, writer) or tuple(_hollow(writer))
    if problems:
        raise Undecodable(Reason.SCHEMA_MISMATCH, problems[0])


def _hollow(writer: AvroSchema) -> list[str]:
    """Arrays whose items take no bytes: a few bytes could claim any number of items."""
    names = named_types(writer)
    found: list[str] = []
    todo: list[tuple[Any, str]] = [(writer, "")]
    todo += [(field["type"], field["name"]) for record in names.values() for field in record.get("fields", ())]
    while todo:
        schema, where = todo.pop()
        for branch in branches(schema, {}):
            items = branch.get("items")
            if items is not None and may_be_empty(items, names):
                found.append(f"{where}: an array of items that take no bytes")
            todo += [(branch[nested], where) for nested in ("items", "values") if nested in branch]
    return found
