"""Which entities an intent says something about; the features keep one row for each."""

from __future__ import annotations

from schemas.records import EntityKind, Intent


def entities_of(intent: Intent) -> tuple[tuple[EntityKind, str], ...]:
    """The query of the pair, if it has one, and each of its products."""
    queries = [(EntityKind.QUERY, intent.query)] if intent.query else []
    products = [(EntityKind.PRODUCT, product.product_id) for product in intent.products]
    return tuple(dict.fromkeys((*queries, *products)))
