"""Reads the bodies that one schema has written, as our own schema sees them."""

from __future__ import annotations

from io import BytesIO
from typing import Any, cast

from fastavro import parse_schema, schemaless_reader
from fastavro.read import SchemaResolutionError
from fastavro.schema import to_parsing_canonical_form

from schemas.avsc import AvroSchema
from schemas.compatibility import obstacles
from schemas.errors import Reason, Undecodable
from schemas.shape import hollow_arrays, without_logical_types
from schemas.strict import StrictCheck

_DECODE_ERRORS = (EOFError, LookupError, ValueError, ArithmeticError, RecursionError, SchemaResolutionError)


class BodyReader:
    """One writer's schema resolved to ours; built once per schema id, kept for the life of the process.

    ``same`` tells that both mean the same bytes, so that a body may be read with ours and nothing to resolve.
    ``schema`` is the writer's schema as JSON, or ours where they are the same.
    Building raises Undecodable (schema_mismatch) when our schema cannot read everything that the writer's can write.
    """

    def __init__(self, *, ours: AvroSchema, writer: AvroSchema) -> None:
        _accept(ours, writer)
        self.same = _on_the_wire(writer) == _on_the_wire(ours)
        self.schema = ours if self.same else writer
        bare = without_logical_types(self.schema)
        self._writer = parse_schema(bare)
        self._ours: Any = None if self.same else parse_schema(without_logical_types(ours))
        self._strict = StrictCheck(bare)

    def read(self, body: bytes) -> dict[str, Any]:
        """The record as our schema has it; Undecodable for anything but exactly one record."""
        self._strict(body)
        try:
            return cast("dict[str, Any]", schemaless_reader(BytesIO(body), self._writer, self._ours))
        except _DECODE_ERRORS as error:
            raise Undecodable(Reason.DAMAGED, f"{type(error).__name__}: {error}") from error


def _on_the_wire(schema: AvroSchema) -> str:
    """The specification's Parsing Canonical Form: what is left when everything that does not change bytes is gone."""
    return str(to_parsing_canonical_form(parse_schema(without_logical_types(schema))))


def _accept(ours: AvroSchema, writer: AvroSchema) -> None:
    problems = obstacles(ours, writer) or hollow_arrays(writer)
    if problems:
        raise Undecodable(Reason.SCHEMA_MISMATCH, problems[0])
