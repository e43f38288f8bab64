"""One UBI document as what it means to us: a query, an event that needs its query, or an event to skip."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from hashlib import blake2b
from typing import Any

from cosmo.produce.outcomes import LineReason, LineRefused
from cosmo.produce.times import instant
from cosmo.produce.ubi.actions import Actions
from cosmo.produce.ubi.fields import Fields, identifier, needed, part, text, written
from schemas.errors import Reason
from schemas.records import Action, Product, QueryPurchase

ACTION, QUERY_ID, USER_QUERY = ("action_name", "actionName"), ("query_id", "queryId"), ("user_query", "userQuery")
SESSION, CLIENT = ("session_id", "sessionId"), ("client_id", "clientId")
ATTRIBUTES, DETAIL = ("event_attributes", "eventAttributes"), ("object_detail", "objectDetail")
ID_TYPE = ("object_id_type", "objectIdType")
TITLE = ("title", "name", "product_name", "productName", "product_title", "productTitle")
TYPE = ("product_type", "productType", "type")
OTHER_OBJECTS = frozenset({"user", "post", "comment", "video"})
"""The kinds of object that UBI names beside ``product``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What a search was. ``text`` may be empty: people browse. ``client`` is a session's stand-in."""

    query_id: str
    text: str
    client: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """An event whose query, session and title may still be wanting: then they are empty in ``record``."""

    query_id: str | None
    record: QueryPurchase


class Skip:
    """An event that is left out because the shop said so."""


def is_event(found: Fields) -> bool:
    """Whether the document is an event. Raises LineRefused for one that is neither event nor query."""
    if any(name in found for name in ACTION):
        return True
    if any(name in found for name in USER_QUERY):
        return False
    raise LineRefused(LineReason.NEITHER_QUERY_NOR_EVENT, "neither action_name nor user_query is there")


def query(found: Fields) -> Query:
    """A document of the queries' index. Raises LineRefused."""
    if not any(name in found for name in USER_QUERY):
        raise LineRefused(LineReason.MISSING_FIELD, "user_query is not there")
    query_id = needed(text(found, *QUERY_ID), "query_id")
    return Query(query_id=query_id, text=text(found, *USER_QUERY) or "", client=_session(found))


def event(found: Fields, actions: Actions, event_id: str | None = None) -> Query | Searched | Skip:
    """A document of the events' index; ``event_id`` is the index's own, where it has one. Raises LineRefused."""
    name = needed(text(found, *ACTION), "action_name")
    meaning = actions.of(name)
    if meaning is None:
        raise LineRefused(
            Reason.UNKNOWN_ACTION, f"action_name {name[:50]!r} is not known; say what it means by --action"
        )
    if meaning == "skip":
        return Skip()
    if meaning == "query":
        return _search(found)
    return _searched(found, meaning, event_id)


def _search(found: Fields) -> Query:
    """A search logged as an event: the query is in user_query or, in older logs, in the message."""
    words = text(found, *USER_QUERY) or text(found, "message") or ""
    return Query(query_id=needed(text(found, *QUERY_ID), "query_id"), text=words, client=_session(found))


def _searched(found: Fields, action: Action, event_id: str | None) -> Searched:
    query_id, session = text(found, *QUERY_ID), _session(found)
    product = _product(found)
    if found.get("timestamp") is None:
        raise LineRefused(LineReason.MISSING_FIELD, "timestamp is not there")
    at = instant(found["timestamp"], "timestamp", zone=UTC)
    named = event_id or _event_id(query_id, session, action, product.product_id, at.isoformat())
    record = QueryPurchase(
        event_id=named,
        event_time=at,
        session_id=session or "",
        query=text(found, *USER_QUERY) or "",
        action=action,
        product=product,
    )
    return Searched(query_id=query_id, record=record)


def _product(found: Fields) -> Product:
    attributes = written(found, *ATTRIBUTES)
    where = f"{attributes}.object."
    shown = part(part(found, attributes), "object", f"{attributes}.")
    detail = shown.get(written(shown, *DETAIL))
    more: Fields = detail if type(detail) is dict else {}
    kind = text(shown, *ID_TYPE, where=where)
    if kind in OTHER_OBJECTS:
        raise LineRefused(LineReason.NOT_A_PRODUCT, f"{where}{written(shown, *ID_TYPE)} is {kind!r}")
    return Product(
        product_id=needed(identifier(shown, "object_id", "objectId", where=where), f"{where}object_id"),
        title=_title(shown, more, where) or "",
        product_type=_either(shown, more, TYPE, where),
        category=_either(shown, more, ("category",), where),
    )


def _title(shown: Fields, more: Fields, where: str) -> str | None:
    """1.3 has no title; clients add one, and OpenSearch's own writes it into the description."""
    return _either(shown, more, TITLE, where) or text(shown, "description", where=where)


def _either(shown: Fields, more: Fields, names: tuple[str, ...], where: str) -> str | None:
    return text(shown, *names, where=where) or text(more, *names, where=f"{where}object_detail.")


def _session(found: Fields) -> str | None:
    """The session, where older logs have it too; else the client, who is at most as many as the sessions."""
    attributes = written(found, *ATTRIBUTES)
    inner = found.get(attributes)
    nested = text(inner, *SESSION, where=f"{attributes}.") if type(inner) is dict else None
    return text(found, *SESSION) or nested or text(found, *CLIENT)


def _event_id(*parts: Any) -> str:
    """UBI events have no id: the same event gets the same one, however often and in whatever file it is sent."""
    return "ubi-" + blake2b("\0".join(map(str, parts)).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
