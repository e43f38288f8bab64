"""A seeded list of events, each with its fate: the facts that it counts as, or the reason for which it is refused.

The facts are reckoned here in plain Python, from the rules as written in docs and docstrings, and not by the code under
test. Only the hash functions are shared: they are part of the contract.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import product as every_pair

from schemas.codec import Codec
from schemas.records import Action, CoPurchase, Product, QueryPurchase
from schemas.registry import SchemaLookup
from streams.blocks import FactAction, product_hash, query_hash, session_hash
from tests.ingest.bad_records import kinds

Fact = tuple[int, int, int, int, int]
"""head, other, bucket, action, session."""
Headers = tuple[tuple[str, bytes | None], ...]

THEMES = 16
QUERIES = 3
PRODUCTS = 3
"""Of each of a theme's two types."""
BAD_SHARE = 0.06
LARGEST_BAD_BYTES = 100_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEPT_OF_A_SESSION = 2**64 - 2**18
"""The state keeps the upper 46 bits of a session's hash (see `streams.state.keys`)."""
_CODES = {
    Action.IMPRESSION: FactAction.IMPRESSION,
    Action.CLICK: FactAction.CLICK,
    Action.ADD_TO_CART: FactAction.ADD_TO_CART,
    Action.PURCHASE: FactAction.PURCHASE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One record on its way to an input topic. ``key`` is its own and no other's."""

    topic: str
    key: bytes
    value: bytes | None
    headers: Headers = ()
    record: QueryPurchase | CoPurchase | None = None
    reason: str | None = None

    @property
    def facts(self) -> frozenset[Fact]:
        """What it counts as; empty for one that is refused."""
        return frozenset(facts_of(self.record)) if self.record is not None else frozenset()


def world(registry: SchemaLookup, *, sessions: int, seed: int, now: datetime) -> list[Event]:
    """Shoppers' events and bad ones among them, shuffled. The same for the same arguments."""
    draw = random.Random(seed)
    records = [record for number in range(sessions) for record in _session(draw, number, now)]
    searches, orders = (
        Codec("query-purchase", QueryPurchase, registry),
        Codec("co-purchase", CoPurchase, registry),
    )
    events = [
        Event(
            topic="query-purchase" if isinstance(record, QueryPurchase) else "co-purchase",
            key=record.event_id.encode(),
            value=searches.encode(record) if isinstance(record, QueryPurchase) else orders.encode(record),
            record=record,
        )
        for record in records
    ]
    events += _bad(draw, registry, round(len(events) * BAD_SHARE))
    draw.shuffle(events)
    return events


def facts_of(record: QueryPurchase | CoPurchase) -> Iterator[Fact]:
    """A search is one fact. An order is one for each ordered pair of its products, a product with itself included."""
    bucket, session = (record.event_time - _EPOCH).days, session_hash(record.session_id) & _KEPT_OF_A_SESSION
    if isinstance(record, QueryPurchase):
        head = query_hash(" ".join(record.query.lower().split()))
        yield head, product_hash(record.product.product_id), bucket, int(_CODES[record.action]), session
        return
    bought = [product_hash(item.product_id) for item in record.items]
    for head, other in every_pair(bought, repeat=2):
        yield head, other, bucket, int(FactAction.CO_PURCHASE), session


def _session(draw: random.Random, number: int, now: datetime) -> Iterator[QueryPurchase | CoPurchase]:
    """One shopper: looks for something, buys some of it, and orders things that go together."""
    theme = min(draw.randrange(THEMES), draw.randrange(THEMES))  # some themes are wanted more
    at = now - timedelta(days=1, minutes=draw.randrange(3 * 24 * 60))
    name = f"session {number}"
    query = f"thing for activity {theme} way {draw.randrange(QUERIES)}"
    spelt = draw.choice((query, query.upper(), f"  {query.replace(' ', '  ')} "))
    for turn, item in enumerate(draw.sample(_products(theme, "a"), k=2)):
        for action in _actions(draw):
            yield QueryPurchase(
                event_id=f"{number}/{turn}/{action}",
                event_time=at + timedelta(seconds=turn),
                session_id=name,
                query=spelt,
                action=action,
                product=item,
            )
    basket = [draw.choice(_products(theme, "a")), draw.choice(_products(theme, "b"))]
    if draw.random() < 0.3:
        basket.append(draw.choice(_products(draw.randrange(THEMES), "b")))
    items = {item.product_id: item for item in basket}
    yield CoPurchase(
        event_id=f"{number}/order",
        event_time=at + timedelta(minutes=5),
        session_id=name,
        order_id=f"order {number}",
        items=tuple(items.values()),
    )


def _products(theme: int, side: str) -> Sequence[Product]:
    return [
        Product(
            product_id=f"{side}{theme}-{number}",
            title=f"Model {number} of {'gadget' if side == 'a' else 'widget'} {theme}",
            product_type=f"{'gadget' if side == 'a' else 'widget'} {theme}",
            category="things",
        )
        for number in range(PRODUCTS)
    ]


def _actions(draw: random.Random) -> Sequence[Action]:
    looks, buys = draw.random() < 0.7, draw.random() < 0.6
    return [Action.IMPRESSION, *([Action.CLICK] if looks else []), *([Action.PURCHASE] if looks and buys else [])]


def _bad(draw: random.Random, registry: SchemaLookup, count: int) -> Iterator[Event]:
    """Every kind that is refused or cannot be decoded, over and over."""
    table = [kind for kind in kinds(registry, registry.schema_id("pair-counts")) if kind.reason is not None]
    small = [kind for kind in table if len(kind.value or b"") <= LARGEST_BAD_BYTES]
    for number in range(count):
        kind = small[number % len(small)]
        event = Event(
            topic=kind.topic,
            key=f"bad {number}".encode(),
            value=kind.value,
            headers=kind.headers,
            reason=kind.reason,
        )
        yield replace(event, value=_unlike_the_others(draw, event, kind.name))


def _unlike_the_others(draw: random.Random, event: Event, kind: str) -> bytes | None:
    """Plain text differs each time; the others keep the bytes that make them what they are."""
    return f"hello {draw.random()}".encode() if kind == "plain text" else event.value
