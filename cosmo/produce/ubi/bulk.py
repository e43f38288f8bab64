"""UBI in OpenSearch's bulk form: an action line, then its document; or, as exports have it, hits with ``_source``.

The index's name tells queries from events; where the action names none, the document's fields do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from cosmo.produce.jsonline import json_type, parse_object
from cosmo.produce.lines import Line
from cosmo.produce.outcomes import LineReason, LineRefused, Outcome, Passed, PassedOver, Refusal
from cosmo.produce.ubi.actions import Actions
from cosmo.produce.ubi.log import Document, joined

Found: TypeAlias = Document | Refusal | PassedOver

INSERTS = frozenset({"index", "create"})
OTHERS = frozenset({"update", "delete"})


@dataclass(frozen=True, slots=True)
class Announced:
    """An action line that waits for its document."""

    line: Line
    verb: str
    meta: dict[str, Any]


def opensearch_ubi(lines: Iterable[Line], actions: Actions, products: Iterable[Line] = ()) -> Iterator[Outcome]:
    """One outcome for each line. An action line is passed over when a document follows it; the line of the document's
    outcome then holds both, so that a refused one can be sent again as it is."""
    return joined(_documents(lines), actions, products)


def _documents(lines: Iterable[Line]) -> Iterator[Found]:
    announced: Announced | None = None
    for line in lines:
        if not line.raw or line.raw.isspace():
            yield PassedOver(line, Passed.BLANK)
            continue
        before, announced = announced, None
        try:
            fields = parse_object(line)
        except LineRefused as refused:
            yield from _after(before, line, _refusal(refused))
            continue
        verb = _verb(fields)
        if verb is None:
            yield from _after(before, line, lambda whole, by: _document(whole, by, fields))  # noqa: B023 - used at once
            continue
        yield from _without_document(before)
        if verb == "delete":  # the one that no document follows
            yield Refusal(line, LineReason.NOT_AN_INSERT, "delete has nothing to send")
        else:
            announced = Announced(line, verb, fields[verb])
    yield from _without_document(announced)


def _after(before: Announced | None, line: Line, judge: Callable[[Line, Announced | None], Found]) -> Iterator[Found]:
    """The outcomes of a line that is no action line, and of the action line before it."""
    if before is None:
        yield judge(line, None)
        return
    yield PassedOver(before.line, Passed.ACTION_LINE)
    size = before.line.size_bytes + 1 + line.size_bytes
    yield judge(Line(line.source, line.number, before.line.raw + b"\n" + line.raw, size), before)


def _without_document(before: Announced | None) -> Iterator[Found]:
    if before is not None:
        yield Refusal(before.line, LineReason.NO_DOCUMENT, f"no document follows this {before.verb}")


def _refusal(refused: LineRefused) -> Callable[[Line, Announced | None], Found]:
    return lambda whole, _: Refusal(whole, refused.reason, refused.detail)


def _document(whole: Line, by: Announced | None, fields: dict[str, Any]) -> Found:
    if by is None and "_source" not in fields:
        return Refusal(whole, LineReason.NO_ACTION_LINE, "neither an action line before it, nor _source in it")
    if by is not None and by.verb not in INSERTS:
        return Refusal(whole, LineReason.NOT_AN_INSERT, f"{by.verb} changes what was sent before")
    meta, body = (fields, fields["_source"]) if by is None else (by.meta, fields)
    index, event_id = meta.get("_index"), meta.get("_id")
    if index is not None and type(index) is not str:
        return Refusal(whole, LineReason.WRONG_TYPE, f"_index is {json_type(index)} where a string is wanted")
    is_event = None if index is None else _is_event(index)
    if index is not None and is_event is None:
        return Refusal(whole, LineReason.OTHER_INDEX, f"index {index[:50]!r} is neither of queries nor of events")
    return Document(whole, body, is_event, event_id if type(event_id) is str and event_id else None)


def _is_event(index: str) -> bool | None:
    """``ubi_queries``, ``ubi_events``, ``shop-ubi-events-2026.03``…; None for a name that says neither."""
    name = index.lower()
    if "event" in name:
        return True
    return False if "quer" in name else None


def _verb(fields: dict[str, Any]) -> str | None:
    """The action of an action line; None for any other line."""
    if len(fields) != 1:
        return None
    ((name, value),) = fields.items()
    return name if name in INSERTS | OTHERS and type(value) is dict else None
