"""Search events as shops send them: few queries and products take most of the traffic (Zipf), about 200 bytes each.

The same seed gives the same events, so that every consumer and every repeat reads the same.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import fastavro
import numpy as np

from schemas import avsc
from schemas.framing import id_frame
from schemas.shape import without_logical_types

NOUNS = (
    "umbrella",
    "tent",
    "pasta",
    "lamp",
    "kettle",
    "sofa",
    "boots",
    "jacket",
    "bicycle",
    "guitar",
    "crib",
    "drill",
    "blanket",
    "mug",
    "backpack",
)
KINDS = (
    "waterproof",
    "small",
    "red",
    "wooden",
    "cheap",
    "organic",
    "folding",
    "electric",
    "warm",
    "light",
    "kids",
    "large",
    "quiet",
    "vintage",
)
USES = (
    "for camping",
    "for two",
    "with lid",
    "for winter",
    "as gift",
    "for baby",
    "for office",
    "without sugar",
    "for travel",
    "for dogs",
)
ACTIONS = ("IMPRESSION", "CLICK", "ADD_TO_CART", "PURCHASE")
ACTION_SHARES = (0.72, 0.18, 0.06, 0.04)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """The size of the shop that the events are from, and how skewed its traffic is."""

    queries: int = 50_000
    products: int = 20_000
    zipf: float = 1.05
    """Popularity of rank r is r**-zipf, for queries and products alike; search logs are near 1."""
    events_a_session: int = 8
    first_event_ms: int = 1_767_225_600_000
    seed: int = 7


def query(number: int) -> str:
    """Text of a query, three to five words, one in fifty with a capital."""
    kind, noun = KINDS[number % len(KINDS)], NOUNS[number // len(KINDS) % len(NOUNS)]
    text = f"{kind} {noun} {USES[number // 210 % len(USES)]} {number // 2100 or ''}".strip()
    return text.capitalize() if number % 50 == 0 else text


def product(number: int) -> dict[str, Any]:
    """A product as it stands in an event."""
    kind, noun = KINDS[number * 5 % len(KINDS)], NOUNS[number % len(NOUNS)]
    return {
        "product_id": f"B{number:09d}",
        "title": f"{kind.capitalize()} {noun} {USES[number // 15 % len(USES)]}, model {number % 977}, blue or grey",
        "product_type": noun,
        "category": ("home", "outdoor", "grocery", "baby", "tools")[number % 5],
        "attributes": {"color": KINDS[number % len(KINDS)], "brand": f"brand {number % 211}"}
        if number % 2 == 0
        else {},
    }


def searches(count: int, schema_id: int, shop: Shop | None = None) -> Iterator[tuple[bytes, bytes]]:
    """(key, framed value) of ``count`` query-purchase events; the key is the session."""
    shop = shop or Shop()
    random = np.random.default_rng(shop.seed)
    schema: Any = fastavro.parse_schema(without_logical_types(avsc.load("query-purchase")))
    frame = id_frame(schema_id)
    products = [product(number) for number in range(shop.products)]
    asked = _zipf(random, shop.queries, shop.zipf, count)
    shown = (asked * 7 + _zipf(random, shop.products, shop.zipf, count)) % shop.products
    action = random.choice(len(ACTIONS), count, p=ACTION_SHARES)
    session = random.integers(0, max(1, count // shop.events_a_session), count).tolist()
    for number in range(count):
        key = b"%016x" % (session[number] * 11_400_714_819_323_198_485 % 2**64)
        datum = {
            "event_id": f"{number:08x}-7c1e-4a52-9d3f-{number * 40_503 % 2**48:012x}",
            "event_time": shop.first_event_ms + number,
            "session_id": key.decode(),
            "locale": "en-US",
            "query": query(int(asked[number])),
            "action": ACTIONS[action[number]],
            "product": products[shown[number]],
        }
        out = io.BytesIO()
        out.write(frame)
        fastavro.schemaless_writer(out, schema, datum)
        yield key, out.getvalue()


def _zipf(random: np.random.Generator, size: int, exponent: float, count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    weights = np.arange(1, size + 1, dtype=np.float64) ** -exponent
    return np.searchsorted(np.cumsum(weights) / weights.sum(), random.random(count)).clip(max=size - 1)
