"""Lines of each format, and what becomes of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from cosmo.produce.formats import Format, outcomes
from cosmo.produce.lines import numbered
from cosmo.produce.outcomes import Outcome, PassedOver, Refusal, Sendable
from cosmo.produce.ubi.actions import Actions

AT = "2026-03-01T12:00:00.250Z"


def search(**changes: Any) -> dict[str, Any]:
    """A query-purchase record as JSON; a change to None removes the field."""
    return _changed(
        {
            "event_id": "e-1",
            "event_time": AT,
            "session_id": "s-1",
            "locale": "en-US",
            "query": "umbrella for storms",
            "action": "PURCHASE",
            "product": product(),
        },
        changes,
    )


def product(**changes: Any) -> dict[str, Any]:
    return _changed({"product_id": "B01", "title": "Windproof umbrella", "product_type": "umbrella"}, changes)


def order(**changes: Any) -> dict[str, Any]:
    items = [product(), product(product_id="B02", title="Rain boots")]
    return _changed(
        {"event_id": "e-2", "event_time": AT, "session_id": "s-1", "order_id": "o-1", "items": items}, changes
    )


def ubi_query(**changes: Any) -> dict[str, Any]:
    return _changed(
        {"query_id": "q-1", "user_query": "umbrella for storms", "client_id": "c-1", "timestamp": AT}, changes
    )


def ubi_event(**changes: Any) -> dict[str, Any]:
    """A UBI event; ``object`` changes the object in it."""
    shown = _changed({"object_id": "B01", "title": "Windproof umbrella"}, changes.pop("object", {}))
    return _changed(
        {
            "action_name": "click",
            "query_id": "q-1",
            "session_id": "s-1",
            "client_id": "c-1",
            "timestamp": AT,
            "event_attributes": {"position": {"ordinal": 1}, "object": shown},
        },
        changes,
    )


def text(*documents: Any) -> list[bytes]:
    return [one if isinstance(one, bytes) else json.dumps(one).encode() for one in documents]


def read(
    form: Format, *documents: Any, topic: str = "query-purchase", actions: Actions | None = None, products: Any = ()
) -> list[Outcome]:
    catalogue = numbered(text(*products), "products")
    return list(outcomes(numbered(text(*documents)), topic=topic, form=form, actions=actions, products=catalogue))


def sendable(found: Iterable[Outcome]) -> list[Any]:
    return [outcome.record for outcome in found if isinstance(outcome, Sendable)]


def refusals(found: Iterable[Outcome]) -> list[tuple[int, str, str]]:
    return [(one.line.number, str(one.reason), one.detail) for one in found if isinstance(one, Refusal)]


def passed(found: Iterable[Outcome]) -> list[tuple[int, str]]:
    return [(one.line.number, str(one.why)) for one in found if isinstance(one, PassedOver)]


def _changed(found: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (found | changes).items() if value is not None}
