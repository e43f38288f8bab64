"""Lines that no producer should send, as real logs hold them; each is refused, for a reason known beforehand."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from schemas.validate import MAX_QUERY_CHARS
from streams import topics


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """``spoil`` takes a good event, parsed, and gives the spoiled line. ``reason`` is the one that refusals carry."""

    name: str
    topic: str
    reason: str
    spoil: Callable[[dict[str, Any]], bytes]


def _with(**changes: object) -> Callable[[dict[str, Any]], bytes]:
    return lambda event: orjson.dumps(event | changes)


def _without(name: str) -> Callable[[dict[str, Any]], bytes]:
    return lambda event: orjson.dumps({key: value for key, value in event.items() if key != name})


def _product(**changes: object) -> Callable[[dict[str, Any]], bytes]:
    return lambda event: orjson.dumps(event | {"product": event["product"] | changes})


def _without_title(event: dict[str, Any]) -> bytes:
    return orjson.dumps(event | {"product": {k: v for k, v in event["product"].items() if k != "title"}})


def _cut(event: dict[str, Any]) -> bytes:
    whole = orjson.dumps(event)
    return whole[: len(whole) // 2]


def _one_item(event: dict[str, Any]) -> bytes:
    return orjson.dumps(event | {"items": event["items"][:1]})


def _untitled_item(event: dict[str, Any]) -> bytes:
    first, *others = event["items"]
    return orjson.dumps(event | {"items": [first | {"title": "  "}, *others]})


_FUTURE = datetime(2100, 1, 1).isoformat() + "Z"  # noqa: DTZ001 - written with its zone

_SEARCH, _ORDER = topics.QUERY_PURCHASE.name, topics.CO_PURCHASE.name

FLAWS: tuple[Flaw, ...] = (
    Flaw(name="cut line", topic=_SEARCH, reason="not_json", spoil=_cut),
    Flaw(name="title left out", topic=_SEARCH, reason="missing_field", spoil=_without_title),
    Flaw(name="empty title", topic=_SEARCH, reason="no_title", spoil=_product(title="")),
    Flaw(name="long query", topic=_SEARCH, reason="query_too_long", spoil=_with(query="x" * (MAX_QUERY_CHARS + 1))),
    Flaw(name="empty query", topic=_SEARCH, reason="empty_query", spoil=_with(query=" \t ")),
    Flaw(name="query left out", topic=_SEARCH, reason="missing_field", spoil=_without("query")),
    Flaw(name="unknown action", topic=_SEARCH, reason="unknown_action", spoil=_with(action="SWIPE")),
    Flaw(name="time ahead", topic=_SEARCH, reason="time_in_future", spoil=_with(event_time=_FUTURE)),
    Flaw(name="time of the epoch", topic=_SEARCH, reason="time_too_old", spoil=_with(event_time=0)),
    Flaw(name="local time", topic=_SEARCH, reason="bad_time", spoil=_with(event_time="2026-01-01T12:00:00")),
    Flaw(name="number as text", topic=_SEARCH, reason="wrong_type", spoil=_product(product_id=4711)),
    Flaw(name="misspelt field", topic=_SEARCH, reason="unknown_field", spoil=_with(sesion_id="s")),
    Flaw(name="no session", topic=_SEARCH, reason="empty_session_id", spoil=_with(session_id="")),
    Flaw(name="cut order", topic=_ORDER, reason="not_json", spoil=_cut),
    Flaw(name="order of one", topic=_ORDER, reason="too_few_items", spoil=_one_item),
    Flaw(name="untitled item", topic=_ORDER, reason="no_title", spoil=_untitled_item),
    Flaw(name="no order number", topic=_ORDER, reason="empty_order_id", spoil=_with(order_id=" ")),
)

BY_TOPIC: Mapping[str, tuple[Flaw, ...]] = {
    topic: tuple(flaw for flaw in FLAWS if flaw.topic == topic) for topic in (_SEARCH, _ORDER)
}

SHARE = 1 / 400
"""Spoiled lines for each good one: enough of each kind to be seen, and far below the limit that stops a worker."""


def spoiled(line: bytes, topic: str, rng: random.Random) -> tuple[bytes, Flaw]:
    """A spoiled copy of a good line, with an event id of its own."""
    flaw = rng.choice(BY_TOPIC[topic])
    event = orjson.loads(line)
    return flaw.spoil(event | {"event_id": f"{event['event_id']}-spoiled"}), flaw
