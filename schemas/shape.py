"""Small questions about a schema's form, asked of its JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastavro import parse_schema

from schemas.avsc import AvroSchema

_LOGICAL = frozenset({"logicalType", "precision", "scale"})


def without_logical_types(schema: AvroSchema, *, only: str = "") -> AvroSchema:
    """The same schema for bytes on the wire: an instant is a bare long, a decimal is bytes.

    Readers that know a logical type change the value's Python type with it, so what a foreign schema says about
    a field would decide what we are given. Units are compared by ``schemas.compatibility`` instead.
    """
    if isinstance(schema, list):
        return [without_logical_types(branch, only=only) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    keeps = only and schema.get("logicalType") != only
    bare = {name: part for name, part in schema.items() if keeps or name not in _LOGICAL}
    for nested in ("type", "items", "values"):
        if nested in bare:
            bare[nested] = without_logical_types(bare[nested], only=only)
    if "fields" in bare:
        bare["fields"] = [
            {**field, "type": without_logical_types(field["type"], only=only)} for field in bare["fields"]
        ]
    return bare


def named_types(schema: AvroSchema) -> dict[str, dict[str, Any]]:
    """Records, enums and fixed types of the schema by full name, each as a parsed schema. Decimals are bytes in it: a
    scale that does not go with its precision is to be ignored (Avro, "Logical Types"), and the library refuses it."""
    named: dict[str, dict[str, Any]] = {}
    parse_schema(without_logical_types(schema, only="decimal"), named_schemas=named)
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


def hollow_arrays(schema: AvroSchema) -> list[str]:
    """Complaints about arrays whose items take no bytes: 5 bytes could claim 10^18 of them."""
    names = named_types(schema)
    found: list[str] = []
    todo: list[tuple[Any, str]] = [(schema, "record")]
    todo += [(field["type"], field["name"]) for record in names.values() for field in record.get("fields", ())]
    while todo:
        part, where = todo.pop()
        for branch in branches(part, {}):
            if "items" in branch and _may_be_empty(branch["items"], names):
                found.append(f"{where}: an array of items that take no bytes")
            todo += [(branch[nested], where) for nested in ("items", "values") if nested in branch]
    return found


def _may_be_empty(schema: Any, names: Mapping[str, dict[str, Any]]) -> bool:
    """Whether a value of this type can take no bytes. A record within itself cannot, or it would never end."""
    branch, *others_of_union = branches(schema, names)
    if others_of_union:
        return False  # a union writes which branch it is
    if branch["type"] == "record":
        others = {name: part for name, part in names.items() if name != branch["name"]}
        return all(_may_be_empty(field["type"], others) for field in branch["fields"])
    return bool(branch["type"] == "null" or branch.get("size") == 0)
