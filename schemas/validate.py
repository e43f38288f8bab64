"""The input contract beyond Avro: what a query-purchase and a co-purchase must be, and what is mended on the way in.

``RULES`` and ``REPAIRS`` are the whole contract in sentences. A record is looked at field by field, in the order of its
schema but for the text that no UTF-8 can carry, and is refused for the first rule that it breaks. Everything here is
pure, and ``check`` is idempotent: what it returned once passes again unchanged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from schemas.errors import Reason, Refused
from schemas.records import Action, CoPurchase, Product, QueryPurchase
from schemas.text import clean, has_control, has_lone_surrogate

MAX_QUERY_CHARS = 512  # longer ones are pasted documents; code points, counted after repair
MAX_TITLE_CHARS = 512
MAX_LABEL_CHARS = 256  # product type and category: both go into prompts
MAX_ID_CHARS = 256  # ids become keys of Kafka and Redis
MAX_LOCALE_CHARS = 35  # what RFC 5646, section 4.4.1, asks a program to hold
MIN_ITEMS = 2  # one product makes no pair
MAX_ITEMS = 200  # pairs grow with the square; the largest of the completejourney baskets has 161 items
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)  # before online shopping: a default, or seconds taken for milliseconds
MAX_AHEAD = timedelta(hours=1)  # clocks drift and time zones are off by one; days ahead would never grow stale

_LOCALE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule: the reason that a refused record carries, and the rule as a sentence for producers."""

    reason: Reason
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """Something that is mended silently, so that a producer need not."""

    name: str
    text: str


RULES: tuple[Rule, ...] = (
    Rule(reason=Reason.LONE_SURROGATE, text="No text holds half of a UTF-16 surrogate pair."),
    Rule(reason=Reason.EMPTY_EVENT_ID, text="event_id is not blank."),
    Rule(reason=Reason.EMPTY_SESSION_ID, text="session_id is not blank."),
    Rule(reason=Reason.EMPTY_ORDER_ID, text="order_id is not blank."),
    Rule(reason=Reason.ID_TOO_LONG, text=f"An id has at most {MAX_ID_CHARS} characters."),
    Rule(reason=Reason.CONTROL_CHARACTERS, text="An id holds no control characters (ids are never repaired)."),
    Rule(reason=Reason.TIME_TOO_OLD, text=f"event_time is not before {EARLIEST:%Y-%m-%d}, UTC."),
    Rule(reason=Reason.TIME_IN_FUTURE, text=f"event_time is at most {MAX_AHEAD // timedelta(hours=1)} hour ahead."),
    Rule(reason=Reason.EMPTY_QUERY, text="query is not empty after repair."),
    Rule(reason=Reason.QUERY_TOO_LONG, text=f"query has at most {MAX_QUERY_CHARS} characters after repair."),
    Rule(reason=Reason.UNKNOWN_ACTION, text="action is IMPRESSION, CLICK, ADD_TO_CART or PURCHASE."),
    Rule(reason=Reason.EMPTY_PRODUCT_ID, text="Every product_id is not blank; its length and characters as any id's."),
    Rule(reason=Reason.NO_TITLE, text="Every product has a title that is not empty after repair."),
    Rule(reason=Reason.TITLE_TOO_LONG, text=f"A title has at most {MAX_TITLE_CHARS} characters after repair."),
    Rule(reason=Reason.LABEL_TOO_LONG, text=f"product_type and category have at most {MAX_LABEL_CHARS} characters."),
    Rule(reason=Reason.TOO_FEW_ITEMS, text=f"An order has at least {MIN_ITEMS} different products."),
    Rule(reason=Reason.TOO_MANY_ITEMS, text=f"An order has at most {MAX_ITEMS} different products."),
)
"""Every rule on values: one for each reason of the second group in ``Reason``."""

REPAIRS: tuple[Repair, ...] = (
    Repair(
        name="spaces", text="Control characters and runs of any spaces in query, title and labels become one space."
    ),
    Repair(name="ends", text="Spaces at both ends of query, title and labels are cut."),
    Repair(name="invisible", text="Zero-width spaces, soft hyphens and marks of direction are dropped from them."),
    Repair(name="blank labels", text="An empty product_type or category becomes null, which means unknown."),
    Repair(name="locale", text="en_US becomes en-US; what is no BCP 47 tag becomes null."),
    Repair(name="duplicate items", text="Of items with the same product_id the first stays."),
)

Input = TypeVar("Input", QueryPurchase, CoPurchase)


def check(record: Input, now: datetime) -> Input:
    """The record, repaired; the same object where nothing was to mend. Raises Refused with the first broken rule.

    ``attributes`` are carried and never read, so of them only lone surrogates are refused.
    """
    if isinstance(record, QueryPurchase):
        return _query_purchase(record, now)
    return _co_purchase(record, now)


def _query_purchase(record: QueryPurchase, now: datetime) -> QueryPurchase:
    _valid_unicode(record.event_id, record.session_id, record.locale, record.query, *_texts(record.product))
    _identifier(record.event_id, "event_id", Reason.EMPTY_EVENT_ID)
    _identifier(record.session_id, "session_id", Reason.EMPTY_SESSION_ID)
    _instant(record.event_time, now)
    query = query_text(record.query)
    if record.action is Action.UNKNOWN:
        raise Refused(Reason.UNKNOWN_ACTION, "action is none that this version knows")
    product, locale = _product(record.product, "product"), _locale(record.locale)
    if (query, locale) == (record.query, record.locale) and product is record.product:
        return record
    return replace(record, query=query, locale=locale, product=product)


def _co_purchase(record: CoPurchase, now: datetime) -> CoPurchase:
    texts = [text for item in record.items for text in _texts(item)]
    _valid_unicode(record.event_id, record.session_id, record.locale, record.order_id, *texts)
    _identifier(record.event_id, "event_id", Reason.EMPTY_EVENT_ID)
    _identifier(record.session_id, "session_id", Reason.EMPTY_SESSION_ID)
    _identifier(record.order_id, "order_id", Reason.EMPTY_ORDER_ID)
    _instant(record.event_time, now)
    items, locale = _items(record.items), _locale(record.locale)
    if locale == record.locale and _same(items, record.items):
        return record
    return replace(record, locale=locale, items=items)


def query_text(query: str) -> str:
    """A query as it is kept: cleaned, 1 to ``MAX_QUERY_CHARS`` characters. Raises Refused."""
    text = clean(query)
    if not text:
        raise Refused(Reason.EMPTY_QUERY, "query is empty")
    return _at_most(MAX_QUERY_CHARS, text, "query", Reason.QUERY_TOO_LONG)


def _product(product: Product, where: str) -> Product:
    _identifier(product.product_id, f"{where}.product_id", Reason.EMPTY_PRODUCT_ID)
    title = clean(product.title)
    if not title:
        raise Refused(Reason.NO_TITLE, f"{where}.title is empty")
    _at_most(MAX_TITLE_CHARS, title, f"{where}.title", Reason.TITLE_TOO_LONG)
    kind = _label(product.product_type, f"{where}.product_type")
    category = _label(product.category, f"{where}.category")
    if (title, kind, category) == (product.title, product.product_type, product.category):
        return product
    return replace(product, title=title, product_type=kind, category=category)


def _items(listed: tuple[Product, ...]) -> tuple[Product, ...]:
    """The order's different products. Each one listed is checked, so a bad item is not hidden by a good twin."""
    checked = [_product(item, f"items[{index}]") for index, item in enumerate(listed)]
    first: dict[str, Product] = {}
    for item in checked:
        first.setdefault(item.product_id, item)
    items = tuple(first.values())
    if len(items) < MIN_ITEMS:
        raise Refused(Reason.TOO_FEW_ITEMS, f"{len(items)} different products")
    if len(items) > MAX_ITEMS:
        raise Refused(Reason.TOO_MANY_ITEMS, f"{len(items)} different products")
    return items


def _label(label: str | None, where: str) -> str | None:
    if label is None:
        return None
    return _at_most(MAX_LABEL_CHARS, clean(label), where, Reason.LABEL_TOO_LONG) or None


def _locale(locale: str | None) -> str | None:
    tag = (locale or "").strip().replace("_", "-")
    return tag if len(tag) <= MAX_LOCALE_CHARS and _LOCALE.fullmatch(tag) else None


def _identifier(value: str, where: str, empty: Reason) -> None:
    if not clean(value):
        raise Refused(empty, f"{where} is blank")
    _at_most(MAX_ID_CHARS, value, where, Reason.ID_TOO_LONG)
    if has_control(value):
        raise Refused(Reason.CONTROL_CHARACTERS, f"{where} holds a control character")


def _at_most(limit: int, text: str, where: str, reason: Reason) -> str:
    if len(text) > limit:
        raise Refused(reason, f"{where} has {len(text)} characters, {limit} are allowed")
    return text


def _instant(event_time: datetime, now: datetime) -> None:
    if event_time < EARLIEST:
        raise Refused(Reason.TIME_TOO_OLD, f"event_time is {event_time.isoformat()}")
    if event_time > now + MAX_AHEAD:
        raise Refused(Reason.TIME_IN_FUTURE, f"event_time is {event_time.isoformat()}, now is {now.isoformat()}")


def _texts(product: Product) -> tuple[str | None, ...]:
    named = (product.product_id, product.title, product.product_type, product.category)
    return (*named, *product.attributes, *product.attributes.values()) if product.attributes else named


def _valid_unicode(*texts: str | None) -> None:
    if any(text is not None and has_lone_surrogate(text) for text in texts):
        raise Refused(Reason.LONE_SURROGATE, "a text holds half of a UTF-16 surrogate pair")


def _same(left: tuple[object, ...], right: tuple[object, ...]) -> bool:
    return len(left) == len(right) and all(a is b for a, b in zip(left, right, strict=True))
