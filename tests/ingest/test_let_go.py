"""What of a fetch's refused records is still held while they are sent."""

from __future__ import annotations

from streams.fetch.handler import Bad, RawRecord
from streams.ingest.handler import _let_go


def test_refused_records_are_let_go_one_by_one_and_in_order() -> None:
    """Held until all are confirmed, a batch within every limit would be in memory three times: unpacked, cut into
    records, and in the send queue."""
    bad = [Bad(RawRecord(offset, 0, None, b"v"), "reason", "detail") for offset in range(3)]
    left = [(one.record.offset, len(bad)) for one in _let_go(bad)]
    assert left == [(0, 2), (1, 1), (2, 0)]
