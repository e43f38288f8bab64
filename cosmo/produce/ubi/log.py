"""UBI as JSON lines: queries and events mixed, or one file of each; a line's fields tell which it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from cosmo.produce.cloudevents import unwrap
from cosmo.produce.jsonline import json_type, parse_object
from cosmo.produce.lines import Line
from cosmo.produce.native import record_reader
from cosmo.produce.outcomes import LineReason, LineRefused, Outcome, Passed, PassedOver, Refusal
from cosmo.produce.ubi import documents
from cosmo.produce.ubi.actions import Actions
from cosmo.produce.ubi.documents import Query, Skip
from cosmo.produce.ubi.join import Join, Waiting
from schemas.records import Product

_READ_PRODUCT = record_reader(Product)


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed document, and what the bulk form says of it beyond its fields; None where nothing does."""

    line: Line
    fields: Any
    is_event: bool | None = None
    event_id: str | None = None


def ubi(lines: Iterable[Line], actions: Actions, products: Iterable[Line] = ()) -> Iterator[Outcome]:
    """One outcome for each line; that of an event whose query comes after it comes at the end.

    ``products`` is the catalogue, a product in the native form on each line: UBI itself knows no titles.
    """
    return joined((_document(line) for line in lines), actions, products)


def joined(
    found: Iterable[Document | Refusal | PassedOver], actions: Actions, products: Iterable[Line] = ()
) -> Iterator[Outcome]:
    """Each product, then each document as its outcome, joined to its query."""
    with closing(Join()) as join:
        yield from (_product(line, join) for line in products)
        for document in found:
            outcome = _outcome(document, join, actions) if isinstance(document, Document) else document
            if outcome is not None:
                yield outcome
        yield from join.rest()


def _document(line: Line) -> Document | Refusal | PassedOver:
    if not line.raw or line.raw.isspace():
        return PassedOver(line, Passed.BLANK)
    try:
        return Document(line, parse_object(line))
    except LineRefused as refused:
        return Refusal(line, refused.reason, refused.detail)


def _product(line: Line, join: Join) -> Outcome:
    if not line.raw or line.raw.isspace():
        return PassedOver(line, Passed.BLANK)
    try:
        return join.add_product(line, _READ_PRODUCT(parse_object(line)))
    except LineRefused as refused:
        return Refusal(line, refused.reason, refused.detail)


def _outcome(document: Document, join: Join, actions: Actions) -> Outcome | None:
    line = document.line
    try:
        envelope = unwrap(document.fields)
        meaning = _meaning(document, envelope.data, actions)
    except LineRefused as refused:
        return Refusal(line, refused.reason, refused.detail)
    if isinstance(meaning, Query):
        return join.add_query(line, meaning)
    if isinstance(meaning, Skip):
        return PassedOver(line, Passed.SKIPPED)
    return join.add_event(Waiting(line, meaning, envelope.key, envelope.headers))


def _meaning(document: Document, fields: Any, actions: Actions) -> Query | documents.Searched | Skip:
    if type(fields) is not dict:
        raise LineRefused(LineReason.NOT_AN_OBJECT, f"{json_type(fields)} where an object is wanted")
    is_event = documents.is_event(fields) if document.is_event is None else document.is_event
    return documents.event(fields, actions, document.event_id) if is_event else documents.query(fields)
