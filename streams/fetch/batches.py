"""Kafka's record batches (format 2) become columns without an object for each record.

Where the records lie is found one by one, since each tells only where the next begins; what is inside them is walked
over in numpy, all records at once.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from aiokafka.record.util import calc_crc32c

from streams.fetch.records import Ints, Records, unsigned_varint
from streams.fetch.unpack import MOST_BYTES, UnpackError, unpack

MAGIC_AT = 16
MAGIC = 2
_SIZE = struct.Struct(">qi")
_HEAD = struct.Struct(">qiibIhiqqqhii")
_CRC_FROM = 21
_CODEC, _APPEND_TIME, _CONTROL = 0x07, 0x08, 0x20
_MOST_VARINT_BYTES = 10

MOST_RECORDS = 1 << 20
"""Of one batch. Each takes about 200 bytes while its parts are looked for, however few it has itself; clients put
thousands into a batch (librdkafka 10,000)."""

MOST_HEADERS = 1 << 16
"""Of one record. Each takes about 200 bytes when they are looked at, however few it has in the batch."""

MOST_RECORD_BYTES = 120 * 1024 * 1024
"""Of one record, unpacked: with the headers of a dead letter it is still one that `streams.kafka.producer` sends."""


class UnreadableError(Exception):
    """A batch that nothing can be read of. ``why`` goes on from "The batch at …"."""

    def __init__(self, why: str, offset: int, next_offset: int) -> None:
        super().__init__(f"The batch at offset {offset} {why}")
        self.why, self.offset, self.next_offset = why, offset, next_offset


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as it came, with what its head says of it."""

    base_offset: int
    next_offset: int
    """Where the next batch begins, also when compaction has taken this one's last records."""
    count: int
    attributes: int
    first_timestamp: int
    max_timestamp: int
    producer_id: int
    """-1 where it is neither idempotent nor transactional."""
    encoded: bytes

    @property
    def is_control(self) -> bool:
        """Transaction markers; nobody's data."""
        return bool(self.attributes & _CONTROL)

    @property
    def codec(self) -> int:
        """Kafka's number of the compression."""
        return self.attributes & _CODEC


def split(data: bytes, *, check_crcs: bool = True) -> Iterator[Batch]:
    """The whole batches of a fetch response; a last one that is cut off is left out, as it comes again.

    Raises UnreadableError at a batch whose checksum is wrong, or that is not of format 2.
    """
    at = 0
    while len(data) - at >= _HEAD.size:
        end = at + _SIZE.size + _SIZE.unpack_from(data, at)[1]
        if end > len(data):
            return
        yield _batch(data, at, end, check_crcs=check_crcs)
        at = end


def _batch(data: bytes, at: int, end: int, *, check_crcs: bool) -> Batch:
    base, _, _, magic, crc, attributes, last, first_ms, max_ms, producer, _, _, count = _HEAD.unpack_from(data, at)
    behind = base + last + 1
    if magic != MAGIC:
        raise UnreadableError(f"is of format {magic}, not {MAGIC}", base, behind)
    if check_crcs and calc_crc32c(memoryview(data)[at + _CRC_FROM : end]) != crc:
        raise UnreadableError("does not match its checksum", base, behind)
    return Batch(base, behind, count, attributes, first_ms, max_ms, producer, data[at + _HEAD.size : end])


def parse(batches: Sequence[Batch], from_offset: int) -> Records:
    """The records of the batches from an offset on, in order.

    Raises UnreadableError, which names the first batch whichever it is. Several may hold too much together, though
    none does alone.
    """
    held = [batch for batch in batches if batch.count and not batch.is_control]
    counts = np.array([batch.count for batch in held], np.int64)
    try:
        if ((counts < 0) | (counts > MOST_RECORDS)).any():
            raise UnpackError(f"holds {counts.max():,} records, of at most {MOST_RECORDS:,}")
        data = unpack([(batch.codec, batch.encoded) for batch in held], MOST_BYTES)
        records = _columns(data, held, counts)
    except UnpackError as error:
        raise UnreadableError(str(error), held[0].base_offset, held[0].next_offset) from error
    except IndexError as error:
        raise UnreadableError("has no records' structure", held[0].base_offset, held[0].next_offset) from error
    early = int(np.searchsorted(records.offsets, from_offset))
    return records[early:] if early else records


def _columns(data: bytes, held: Sequence[Batch], counts: Ints) -> Records:
    starts, ends = _bounds(data, int(counts.sum()))
    if len(starts) and (most := int((ends - starts).max())) > MOST_RECORD_BYTES:
        raise UnpackError(f"holds a record of {most:,} bytes, which may have {MOST_RECORD_BYTES:,}")
    buffer = np.frombuffer(data, np.uint8)
    delta_ms, at = varints(buffer, starts + 1)  # behind the record's attributes, a byte that nobody uses
    delta, at = varints(buffer, at)
    key_bytes, key_starts = varints(buffer, at)
    value_bytes, value_starts = varints(buffer, key_starts + np.maximum(key_bytes, 0))
    header_counts, header_starts = varints(buffer, value_starts + np.maximum(value_bytes, 0))
    fits = np.where(header_counts == 0, header_starts == ends, (header_counts > 0) & (header_starts < ends))
    if not (fits & (key_bytes >= -1) & (value_bytes >= -1)).all():
        raise IndexError("a record's parts do not add up to its size")
    if len(header_counts) and (most := int(header_counts.max())) > MOST_HEADERS:
        raise UnpackError(f"holds a record of {most:,} headers, which may have {MOST_HEADERS:,}")
    return Records(
        data,
        offsets=_repeat([batch.base_offset for batch in held], counts) + delta,
        timestamps=_timestamps(held, counts, delta_ms),
        key_starts=key_starts,
        key_ends=key_starts + key_bytes,
        value_starts=value_starts,
        value_ends=value_starts + value_bytes,
        header_counts=header_counts,
        header_starts=header_starts,
    )


def _bounds(data: bytes, count: int) -> tuple[Ints, Ints]:
    """Where each record begins (behind its size) and ends. Each end tells the next start, so this alone goes one by
    one. Behind the last is one byte more, or they do not add up."""
    starts: list[int] = []
    ends: list[int] = []
    begin, end, at = starts.append, ends.append, 0
    for _ in range(count):
        number = data[at]
        at += 1
        if number >= 0x80:
            number = number & 0x7F | data[at] << 7
            at += 1
            if number >= 1 << 14:
                number, at = unsigned_varint(data, at - 2)
        begin(at)
        at += number >> 1
        end(at)
    if at != len(data) - 1:
        raise IndexError("the records do not add up to the batch")
    return np.array(starts, np.int64), np.array(ends, np.int64)


def _timestamps(held: Sequence[Batch], counts: Ints, delta_ms: Ints) -> Ints:
    created = _repeat([batch.first_timestamp for batch in held], counts) + delta_ms
    if not any(batch.attributes & _APPEND_TIME for batch in held):
        return created
    appended = _repeat([batch.max_timestamp for batch in held], counts)
    return np.where(_repeat([batch.attributes & _APPEND_TIME for batch in held], counts) != 0, appended, created)


def _repeat(numbers: Sequence[int], counts: Ints) -> Ints:
    return np.repeat(np.array(numbers, np.int64), counts)


def varints(data: np.ndarray[tuple[int], np.dtype[np.uint8]], at: Ints) -> tuple[Ints, Ints]:
    """(values, positions behind them) of the zigzag varints at these positions. IndexError outside the buffer."""
    byte = data[at]
    number, behind = (byte & 0x7F).astype(np.uint64), at + 1
    more = np.flatnonzero(byte >= 0x80)
    for place in range(1, _MOST_VARINT_BYTES):
        if not len(more):
            break
        byte = data[behind[more]]
        number[more] |= (byte & 0x7F).astype(np.uint64) << np.uint64(7 * place)
        behind[more] += 1
        more = more[byte >= 0x80]
    if len(more):
        raise IndexError("a number of more than 64 bits")
    return ((number >> np.uint64(1)) ^ -(number & np.uint64(1))).view(np.int64), behind
