"""Small questions about a schema's form, asked of its JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastavro import parse_schema

from schemas.avsc import AvroSchema

_LOGICAL = frozenset({"logicalType", "precision", "scale"})


def without_logical_types(schema: AvroSchema) -> AvroSchema:
    """The same schema for bytes on the wire: an instant is a bare long, a decimal is bytes.

    Readers that know a logical type change the value's Python type with it, so what a foreign schema says about
    a field would decide what we are given. Units are compared by ``schemas.compatibility`` instead.
    """
    if isinstance(schema, list):
        return [without_logical_types(branch) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    bare = {name: part for name, part in schema.items() if name not in _LOGICAL}
    for nested in ("type", "items", "values"):
        if nested in bare:
            bare[nested] = without_logical_types(bare[nested])
    if "fields" in bare:
        bare["fields"] = [{**field, "type": without_logical_types(field["type"])} for field in bare["fields"]]
    return bare


def named_types(schema: AvroSchema) -> dict[str, dict[str, Any]]:
    """Records, enums and fixed types of the schema by full name, each as a parsed schema."""
    named: dict[str, dict[str, Any]] = {}
    parse_schema(schema, named_schemas=named)
    return named


def branches(schema: Any, names: Mapping[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The types that a value may have: a union's branches, or the one type itself, each as a dict with ``type``."""
    if isinstance(schema, list):
        for branch in schema:
            yield from branches(branch, names)
    elif isinstance(schema, str):
        yield names.get(schema, {"type": schema})
    elif isinstance(schema["type"], dict | list):
        yield from branches(schema["type"], names)
    else:
        yield schema


def branch_name(branch: Mapping[str, Any]) -> str:
    """What tells the branches of a union apart, without the namespace, which resolution ignores."""
    kind: str = branch["type"]
    return f"{kind} {branch['name'].rpartition('.')[2]}" if "name" in branch else kind


def may_be_empty(schema: Any, names: Mapping[str, dict[str, Any]], above: frozenset[str] = frozenset()) -> bool:
    """Whether a value of this type can take no bytes. An array of such would let 5 bytes claim 10^18 items."""
    if isinstance(schema, list):
        return False
    for branch in branches(schema, names):
        kind, name = branch["type"], branch.get("name", "")
        if kind == "record":
            inner = above | {name}
            return name not in above and all(may_be_empty(field["type"], names, inner) for field in branch["fields"])
        return bool(kind == "null" or (kind == "fixed" and branch["size"] == 0))
    return False
