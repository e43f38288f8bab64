"""One good record of each input topic, and the instant at which it is looked at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from schemas.records import Action, CoPurchase, Product, QueryPurchase

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

UMBRELLA = Product(
    product_id="B01",
    title="Windproof umbrella",
    product_type="umbrella",
    category="Outdoor",
    attributes={"colour": "red"},
)
BOOTS = Product(product_id="B02", title="Rain boots")

QUERY_PURCHASE = QueryPurchase(
    event_id="e-1",
    event_time=NOW - timedelta(minutes=5),
    session_id="s-1",
    locale="en-US",
    query="umbrella for storms",
    action=Action.PURCHASE,
    product=UMBRELLA,
)
CO_PURCHASE = CoPurchase(
    event_id="e-2",
    event_time=NOW - timedelta(minutes=5),
    session_id="s-1",
    locale=None,
    order_id="o-1",
    items=(UMBRELLA, BOOTS),
)
