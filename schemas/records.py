"""One frozen record per topic; field for field the Avro schema of the same name in ``schemas/avsc``.

Instants are aware UTC datetimes. ``None`` means unknown, never a default that looks like data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Action(StrEnum):
    UNKNOWN = "UNKNOWN"
    IMPRESSION = "IMPRESSION"
    CLICK = "CLICK"
    ADD_TO_CART = "ADD_TO_CART"
    PURCHASE = "PURCHASE"


class PairKind(StrEnum):
    UNKNOWN = "UNKNOWN"
    SEARCH_BUY = "SEARCH_BUY"
    CO_BUY = "CO_BUY"
    SEARCH = "SEARCH"


class SampleReason(StrEnum):
    UNKNOWN = "UNKNOWN"
    NEW = "NEW"
    GROWN = "GROWN"
    STALE = "STALE"
    BURST = "BURST"
    LOW_ENGAGEMENT = "LOW_ENGAGEMENT"


class HeadKind(StrEnum):
    UNKNOWN = "UNKNOWN"
    QUERY = "QUERY"
    PRODUCT = "PRODUCT"
    PRODUCT_PAIR = "PRODUCT_PAIR"


class EntityKind(StrEnum):
    UNKNOWN = "UNKNOWN"
    QUERY = "QUERY"
    PRODUCT = "PRODUCT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A product as it was shown. ``attributes`` exists on input topics only."""

    product_id: str
    title: str
    product_type: str | None = None
    category: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryPurchase:
    """One shopper's action on one product after a search."""

    event_id: str
    event_time: datetime
    session_id: str
    locale: str | None = None
    query: str
    action: Action
    product: Product


@dataclass(frozen=True, slots=True, kw_only=True)
class CoPurchase:
    """The products of one order, 2 to 200 of them."""

    event_id: str
    event_time: datetime
    session_id: str
    locale: str | None = None
    order_id: str
    items: tuple[Product, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairCounts:
    """What one fetch of an input partition adds to the state of one sampler partition; the blocks are Arrow IPC."""

    source_topic: str
    source_partition: int
    first_offset: int
    last_offset: int
    layout: int
    facts: bytes
    heads: bytes
    products: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleState:
    """One segment of the sampler's state."""

    layout: int
    table: str
    rows: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class BehaviorPair:
    """A pair worth explaining, with the figures that made it so."""

    pair_id: str
    kind: PairKind
    query: str | None = None
    products: tuple[Product, ...]
    locale: str | None = None
    event_time: datetime
    sampled_time: datetime
    support: int
    reason: SampleReason
    priority: float
    specificity: float | None = None
    product_types: tuple[str, ...] = ()
    evidence: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentRequest:
    """A reader's miss: explain this, though no shopper's pair asked for it."""

    request_id: str
    kind: PairKind
    query: str | None = None
    products: tuple[Product, ...]
    locale: str | None = None
    requested_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One pair's evidence that a head has an intent; plausibility and typicality lie in 0..1. ``support`` is as it was
    when the model was asked."""

    intent_id: str
    pair_id: str
    head_kind: HeadKind
    head: str
    query: str | None = None
    products: tuple[Product, ...] = ()
    relation: str
    tail: str
    tail_key: str
    plausibility: float
    typicality: float | None = None
    support: int
    event_time: datetime
    generated_time: datetime
    template_id: str
    model_id: str
    specificity: float | None = None
    product_types: tuple[str, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedIntent:
    """An explanation that did not survive the filters; ``reason`` names the filter."""

    pair_id: str
    query: str | None = None
    product_ids: tuple[str, ...] = ()
    relation: str
    tail: str
    reason: str
    scores: Mapping[str, float] = field(default_factory=dict)
    template_id: str
    model_id: str
    generated_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityIntent:
    """An intent on its way to the features of one entity; ``retracted`` removes it."""

    entity_kind: EntityKind
    entity_key: str
    retracted: bool = False
    intent: Intent


Record = (
    QueryPurchase
    | CoPurchase
    | PairCounts
    | SampleState
    | BehaviorPair
    | IntentRequest
    | Intent
    | RejectedIntent
    | EntityIntent
)

BY_TOPIC: Mapping[str, type[Record]] = {
    "query-purchase": QueryPurchase,
    "co-purchase": CoPurchase,
    "pair-counts": PairCounts,
    "sample-state": SampleState,
    "behavior-pairs": BehaviorPair,
    "intent-requests": IntentRequest,
    "intents": Intent,
    "rejected-intents": RejectedIntent,
    "entity-intents": EntityIntent,
}
"""Which record a topic carries, by the topic's name without prefix."""
