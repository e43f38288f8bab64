"""A hundred thousand records with schema ids out of damaged bytes: ingest goes on, and so do its good records."""

from __future__ import annotations

import struct
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from cosmo.runtime.settings import Settings
from schemas import avsc
from schemas.codec import Codec
from schemas.errors import Reason
from schemas.fixed_registry import FixedRegistry
from schemas.records import QueryPurchase
from schemas.registry import Registry
from schemas.unknown import BURST
from streams.fetch.handler import Fetch, RawRecord
from streams.ingest.decode import Decoder
from streams.ingest.shapes import SEARCHES
from tests.ingest.bad_records import search

OLD, NEW = 7, 70_000
FETCHES, JUNK, GOOD = 5, 20_000, 2_000
SECONDS_A_FETCH = 0.2


class RecordingHttp:
    """A registry's answers by path: two ids of one schema, and nothing else. Counts what it is asked."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    def ask(self, method: str, path: str, body: object = None, *, bare_404_is_absent: bool = False) -> Any:
        self.asked[path] += 1
        known = path in {f"schemas/ids/{OLD}", f"schemas/ids/{NEW}"}
        return {"schema": avsc.text(avsc.load("query-purchase"))} if known else None


def test_a_flood_of_unknown_ids_costs_few_requests_and_no_good_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also a schema that appears in the midst of it is found, because it is in more records than any of the others."""
    now_s, http = [1_000.0], RecordingHttp()
    registry = Registry(Settings(), clock=lambda: now_s[0])
    monkeypatch.setattr(registry, "_http", http)
    decoder = Decoder(Codec("query-purchase", QueryPurchase, registry), SEARCHES)
    body = Codec("query-purchase", QueryPurchase, FixedRegistry()).encode(search())[5:]
    reasons: Counter[str] = Counter()
    for number in range(FETCHES):
        junk = [1_000_000 + number * JUNK + index for index in range(JUNK)]
        good = [NEW if number > 1 and index % 10 == 0 else OLD for index in range(GOOD)]
        records = [RawRecord(at, 0, None, struct.pack(">BI", 0, key) + body) for at, key in enumerate(junk + good)]
        decoded = decoder.decode(Fetch("query-purchase", 0, records), datetime.now(UTC))
        assert decoded.rows.height == GOOD
        reasons.update(str(bad.reason) for bad in decoded.bad)
        now_s[0] += SECONDS_A_FETCH
    assert sum(http.asked.values()) <= BURST + 2 + 10 * FETCHES * SECONDS_A_FETCH
    assert max(http.asked.values()) == 1
    assert reasons.total() == FETCHES * JUNK
    assert set(reasons) == {Reason.UNKNOWN_SCHEMA, Reason.SCHEMA_NOT_LOOKED_UP}
