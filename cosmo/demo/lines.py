"""Events as lines of the native format of ``cosmo produce``: one JSON object each, field for field the record."""

from __future__ import annotations

from datetime import datetime

import orjson

from cosmo.demo.baskets import LOCALE


def search_line(*, event_id: str, when: datetime, session_id: str, query: bytes, action: str, product: bytes) -> bytes:
    """One action after a search. ``query`` and ``product`` are JSON already, since both come again and again."""
    return (
        f'{{"event_id":"{event_id}","event_time":"{iso(when)}","session_id":"{session_id}","locale":"{LOCALE}","query":'
    ).encode() + b'%b,"action":"%b","product":%b}' % (query, action.encode(), product)


def order_line(*, event_id: str, when: datetime, session_id: str, order_id: str, items: list[bytes]) -> bytes:
    """One order; ``items`` are JSON already."""
    return (
        f'{{"event_id":"{event_id}","event_time":"{iso(when)}","session_id":"{session_id}","locale":"{LOCALE}",'
        f'"order_id":"{order_id}","items":['
    ).encode() + b"%b]}" % b",".join(items)


def as_json(text: str) -> bytes:
    """A string of JSON, quotes included."""
    return orjson.dumps(text)


def iso(when: datetime) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}Z"
