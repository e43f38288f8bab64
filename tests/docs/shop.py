"""The shop behind the examples of the guides: a few shoppers, who leave just enough to learn from.

Its files lie where the examples are run, under the names by which the guides call a reader's own files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain, product
from pathlib import Path
from typing import Any

SESSIONS = 24
"""Of each search, and of each order: enough for every rule of the sampler."""

Line = dict[str, Any]


def _product(product_id: str, title: str, product_type: str) -> Line:
    return {"product_id": product_id, "title": title, "product_type": product_type, "category": "Grocery"}


SODA = _product("868764", "Soft Drinks, 2 Liter Bottle, Carbonated, 2 liter", "soft drinks, 2 liter bottle")
CHIPS = _product("15926887", "Potato Chips, 13.25 oz", "potato chips")
BACON = _product("8065410", "Economy Bacon, 16 oz", "economy bacon")
EGGS = _product("840361", "Eggs, Large, 1 dozen, Store Brand", "eggs, large")
BREAD = _product("951590", "Mainstream White Bread, 20 oz", "mainstream white bread")
BUNS = _product("1098066", "Hot Dog Buns, 11 oz, Store Brand", "hot dog buns")
SAUSAGES = _product("1062966", "Economy, Meat Hot Dogs, 16 oz", "economy, meat hot dogs")
SAUCE = _product("1111230", "Shelf-Stable Hot Dog Chili Sauce, 10 oz, Store Brand", "shelf-stable hot dog chili sauce")
CHILI = _product("957063", "Shelf-Stable Chili, Canned, 15 oz", "shelf-stable chili, canned")

SEARCHES = {"Soft  drinks": (SODA, CHIPS), "breakfast": (BACON, EGGS)}
SEARCHES_IN_UBI = {"bread": (BUNS, BREAD)}
ORDERS = ((SODA, CHIPS), (BACON, EGGS), (BUNS, SAUSAGES), (BUNS, SAUCE), (BUNS, CHILI))
"""Products and searches that the demonstration's data have too. Several for each product that the guides look up:
llama.cpp answers the same prompt a little otherwise when it works on others beside it, so no single pair is sure to be
explained."""

COMMANDS = (
    "cosmo produce query-purchase searches.ndjson",
    "cosmo produce co-purchase orders.ndjson",
    "cosmo produce query-purchase ubi-queries.jsonl ubi-events.jsonl --format ubi",
)
LEARNED = (
    "/v1/queries/soft%20drinks/intents",
    "/v1/queries/breakfast/intents",
    "/v1/products/1098066/intents",
    "/v1/products/1098066/complements",
)


def write(directory: Path) -> None:
    """All files, with times around now."""
    now = datetime.now(UTC)
    _write(directory / "searches.ndjson", _native(now))
    _write(directory / "orders.ndjson", _orders(now))
    _write(directory / "ubi-queries.jsonl", _ubi_queries(now))
    _write(directory / "ubi-events.jsonl", _ubi_events(now))
    _write(directory / "events.ndjson", _misspelt(now))
    _write(directory / "ubi.ndjson", chain(_ubi_queries(now), _own_words(now)))
    _write(directory / "bulk.ndjson", _bulk(now))


def _write(path: Path, lines: Iterator[Line]) -> None:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")


def _actions(number: int) -> tuple[str, ...]:
    return ("IMPRESSION", "CLICK", "ADD_TO_CART", "PURCHASE")[: 4 if number % 2 else 2]


def _at(now: datetime, number: int) -> str:
    return (now - timedelta(minutes=SESSIONS - number)).isoformat(timespec="milliseconds")


def _native(now: datetime) -> Iterator[Line]:
    for query, number in product(SEARCHES, range(SESSIONS)):
        for item, action in product(SEARCHES[query], _actions(number)):
            yield {
                "event_id": f"n-{query}-{number}-{item['product_id']}-{action}",
                "event_time": _at(now, number),
                "session_id": f"n-{query}-{number}",
                "locale": "en-US",
                "query": query,
                "action": action,
                "product": item,
            }


def _orders(now: datetime) -> Iterator[Line]:
    for number in range(SESSIONS):
        for kind, items in enumerate(ORDERS):
            yield {
                "event_id": f"o-{kind}-{number}",
                "event_time": _at(now, number),
                "session_id": f"o-{kind}-{number}",
                "order_id": f"o-{kind}-{number}",
                "items": items,
            }


def _ubi_queries(now: datetime) -> Iterator[Line]:
    for query, number in product(SEARCHES_IN_UBI, range(SESSIONS)):
        yield {
            "query_id": f"u-{query}-{number}",
            "user_query": query,
            "client_id": f"u-{number}",
            "timestamp": _at(now, number),
        }


def _ubi_events(now: datetime) -> Iterator[Line]:
    for query, number in product(SEARCHES_IN_UBI, range(SESSIONS)):
        for item, action in product(SEARCHES_IN_UBI[query], _actions(number)):
            known = {name: item[name] for name in ("title", "product_type", "category")}
            yield {
                "action_name": action.lower(),
                "query_id": f"u-{query}-{number}",
                "session_id": f"u-{number}",
                "timestamp": _at(now, number),
                "event_attributes": {"object": {"object_id": item["product_id"], **known}},
            }


def _misspelt(now: datetime) -> Iterator[Line]:
    first, *others = _native(now)
    yield first | {"product": {"titel" if name == "title" else name: value for name, value in SODA.items()}}
    yield from others


def _own_words(now: datetime) -> Iterator[Line]:
    for event, name in zip(_ubi_events(now), ("quick_buy", "product_hover", "click"), strict=False):
        yield event | {"action_name": name}


def _bulk(now: datetime) -> Iterator[Line]:
    for index, documents in (("ubi_queries", _ubi_queries(now)), ("ubi_events", _ubi_events(now))):
        for document in documents:
            yield from ({"create": {"_index": index}}, document)
