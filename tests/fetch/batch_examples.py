"""Record batches as brokers send them, written by aiokafka's own builder and changed where it cannot say it."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from hypothesis import strategies as st

from streams.fetch.records import RawRecord

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
HEAD_BYTES = 61
_SIZE_AT, _ATTRIBUTES_AT, _LAST_DELTA_AT, _MAX_TIMESTAMP_AT, _PRODUCER_AT, _COUNT_AT = 8, 21, 23, 35, 43, 57
APPEND_TIME, TRANSACTIONAL, CONTROL = 0x08, 0x10, 0x20


def batch(records: Sequence[RawRecord], *, codec: str = "none", base: int | None = None) -> bytes:
    """One batch of at least one record. ``base`` before the first record's offset: compaction has taken the first."""
    builder = DefaultRecordBatchBuilder(2, CODECS[codec], 0, -1, -1, -1, 1 << 24)
    base = records[0].offset if base is None else base
    for record in records:
        added = builder.append(
            record.offset - base, record.timestamp_ms, record.key, record.value, list(record.headers)
        )
        assert added is not None
    built = bytearray(builder.build())
    struct.pack_into(">q", built, 0, base)
    return bytes(built)


def changed(
    built: bytes, *, attributes: int = 0, next_offset: int | None = None, max_timestamp: int | None = None
) -> bytes:
    """The batch with attributes added, a later end (compaction has taken the last records), or another time."""
    out = bytearray(built)
    base, old = struct.unpack_from(">q", out, 0)[0], struct.unpack_from(">h", out, _ATTRIBUTES_AT)[0]
    struct.pack_into(">h", out, _ATTRIBUTES_AT, old | attributes)
    if next_offset is not None:
        struct.pack_into(">i", out, _LAST_DELTA_AT, next_offset - base - 1)
    if max_timestamp is not None:
        struct.pack_into(">q", out, _MAX_TIMESTAMP_AT, max_timestamp)
    struct.pack_into(">I", out, 17, calc_crc32c(bytes(out[_ATTRIBUTES_AT:])))
    return bytes(out)


def by(built: bytes, producer_id: int) -> bytes:
    """The batch as this producer's."""
    out = bytearray(built)
    struct.pack_into(">q", out, _PRODUCER_AT, producer_id)
    return changed(bytes(out))


def repacked(built: bytes, codec: str, packed: bytes, *, count: int | None = None) -> bytes:
    """An uncompressed batch whose head is right, with these bytes in place of its records."""
    out = bytearray(built[:HEAD_BYTES] + packed)
    struct.pack_into(">i", out, _SIZE_AT, len(out) - _SIZE_AT - 4)
    if count is not None:
        struct.pack_into(">i", out, _COUNT_AT, count)
    return changed(bytes(out), attributes=CODECS[codec])


def empty(base: int, next_offset: int) -> bytes:
    """A batch that compaction has emptied; brokers keep its head for the producer's sake."""
    head = struct.pack(">qiibIhiqqqhii", base, 49, 0, 2, 0, 0, next_offset - base - 1, 0, 0, 7, 0, 0, 0)
    return changed(head)


small = st.none() | st.binary(max_size=200)
headers = st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=5)), max_size=2).map(tuple)


@st.composite
def logs(draw: st.DrawFn) -> tuple[bytes, list[RawRecord]]:
    """A stretch of a partition's log as bytes, and the records in it."""
    built: list[bytes] = []
    records: list[RawRecord] = []
    at = draw(st.integers(0, 5))
    for _ in range(draw(st.integers(1, 4))):
        base = at
        held = []
        for _ in range(draw(st.integers(0, 6))):
            at += draw(st.integers(0, 3))  # a hole, now and then
            held.append(RawRecord(at, draw(st.integers(0, 2**41)), draw(small), draw(small), draw(headers)))
            at += 1
        at += draw(st.integers(0, 3))
        if held:
            built.append(changed(batch(held, codec=draw(st.sampled_from(list(CODECS))), base=base), next_offset=at))
        else:
            at += 1
            built.append(empty(base, at))
        records += held
    return b"".join(built), records
