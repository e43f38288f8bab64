"""Names by content: the same explanation of the same head has the same id wherever and whenever it is found."""

from __future__ import annotations

from collections.abc import Iterable

import xxhash

from schemas.records import HeadKind, IntentRequest

_SEPARATOR = "\x1f"  # occurs in no part: control characters are refused at the input or normalized away


def intent_id(head_kind: HeadKind, head: str, relation: str, tail_key: str) -> str:
    """32 hexadecimal digits of head, relation and normalized tail."""
    return _digest((head_kind, head, relation, tail_key))


def request_pair_id(request: IntentRequest) -> str:
    """Like a behaviour pair's id and never equal to one: a reader's question carries no support, and must not
    overwrite the evidence of shoppers in the compacted log of intents."""
    parts = ("REQUEST", request.kind, request.query or "", *(product.product_id for product in request.products))
    return _digest(parts)


def choice(parts: Iterable[str]) -> float:
    """A figure in 0..1 (neither 0 nor 1) that looks random and is always the same for the same parts."""
    hashed = xxhash.xxh3_64_intdigest(_SEPARATOR.join(parts).encode())
    return ((hashed >> 12) + 0.5) / 2**52  # 53 bits: exact in a float, so never rounded up to 1


def _digest(parts: Iterable[str]) -> str:
    return xxhash.xxh3_128_hexdigest(_SEPARATOR.join(parts).encode())
