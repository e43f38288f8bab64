"""Each kind of bad record is refused with its reason or repaired, on both paths, and its neighbours go through."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.codec import Codec
from schemas.fixed_registry import FixedRegistry
from schemas.records import CoPurchase, QueryPurchase
from streams.fetch.handler import Fetch, RawRecord
from streams.ingest.decode import Decoded, Decoder
from streams.ingest.shapes import ORDERS, SEARCHES
from tests.ingest.bad_records import Kind, kinds, order, search

REGISTRY = FixedRegistry()
KINDS = kinds(REGISTRY, REGISTRY.schema_id("behavior-pairs"))
DECODERS: dict[str, Decoder[Any]] = {
    "query-purchase": Decoder(Codec("query-purchase", QueryPurchase, REGISTRY), SEARCHES),
    "co-purchase": Decoder(Codec("co-purchase", CoPurchase, REGISTRY), ORDERS),
}


def fetch_of(kind: Kind) -> Fetch:
    neighbour: Any = search() if kind.topic == "query-purchase" else order()
    good = DECODERS[kind.topic].codec.encode(neighbour)
    records = [
        RawRecord(0, 0, None, good),
        RawRecord(1, 0, kind.key, kind.value, kind.headers),
        RawRecord(2, 0, None, good),
    ]
    return Fetch(kind.topic, 0, records)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("path", ["decode", "decode_one_by_one"])
def test_a_bad_record_ends_with_its_reason_and_its_neighbours_go_through(kind: Kind, path: str) -> None:
    decoded: Decoded = getattr(DECODERS[kind.topic], path)(fetch_of(kind), datetime.now(UTC))
    assert [(bad.record.offset, str(bad.reason)) for bad in decoded.bad] == ([(1, kind.reason)] if kind.reason else [])
    assert decoded.rows.height == 3 - len(decoded.bad)


def test_the_table_has_thirty_kinds_or_more() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS) >= 30
