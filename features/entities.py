"""In which view an intent is kept, in which slot of it, and whether a record can be kept at all."""

from __future__ import annotations

import math

from features.errors import UnusableIntent
from features.merge import Slot, SlotOf
from features.views import PRODUCT_COMPLEMENTS, PRODUCT_INTENTS, QUERY_INTENTS, View
from inference.entities import entities_of
from schemas.records import EntityIntent, EntityKind, HeadKind, Intent, Product


def view_of(kind: EntityKind, intent: Intent) -> View:
    """A product pair explains complements; everything else explains its query and its product."""
    if kind is EntityKind.QUERY:
        return QUERY_INTENTS
    return PRODUCT_COMPLEMENTS if intent.head_kind is HeadKind.PRODUCT_PAIR else PRODUCT_INTENTS


def slot_of(view: View, entity_key: str) -> SlotOf:
    """What may be there once: a reason, or, among complements, a product (eight reasons for one would crowd out the
    other seven products)."""

    def complement(intent: Intent) -> Slot:
        return (other_product(intent, entity_key).product_id,)

    return complement if view is PRODUCT_COMPLEMENTS else _reason


def other_product(intent: Intent, product_id: str) -> Product:
    """The partner in a product pair. Raises UnusableIntent when there is none."""
    for product in intent.products:
        if product.product_id != product_id:
            return product
    raise UnusableIntent("no_complement", f"the pair of {product_id!r} holds no other product")


def check(record: EntityIntent) -> None:
    """Raises UnusableIntent for a record that decodes and yet says nothing that could be stored."""
    intent = record.intent
    if record.entity_kind is EntityKind.UNKNOWN:
        raise UnusableIntent("unknown_entity_kind", "the entity is neither a query nor a product")
    if (record.entity_kind, record.entity_key) not in entities_of(intent):
        raise UnusableIntent("foreign_entity", f"the intent's pair does not hold {record.entity_key!r}")
    if not (intent.intent_id and intent.pair_id and intent.relation and intent.tail and intent.tail_key):
        raise UnusableIntent("empty_field", "an id, the relation or the tail is empty")
    for name, value in (("plausibility", intent.plausibility), ("typicality", intent.typicality)):
        if value is not None and not (math.isfinite(value) and 0.0 <= value <= 1.0):
            raise UnusableIntent("score_out_of_range", f"{name} is {value}")
    if view_of(record.entity_kind, intent) is PRODUCT_COMPLEMENTS:
        other_product(intent, record.entity_key)


def _reason(intent: Intent) -> Slot:
    return (intent.relation, intent.tail_key)
