"""Kafka's record batches as columns: the same records as written, whatever a batch holds, or an error."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import pytest
from aiokafka.codec import zstd_encode
from hypothesis import given
from hypothesis import strategies as st

from streams.fetch.batches import MOST_HEADERS, MOST_RECORD_BYTES, MOST_RECORDS, UnreadableError, parse, split
from streams.fetch.records import RawRecord, Spans
from streams.fetch.unpack import MOST_BYTES
from streams.kafka.producer import MAX_RECORD_BYTES
from tests.fetch.batch_examples import APPEND_TIME, CONTROL, batch, changed, empty, logs, repacked, small


def record(offset: int, value: bytes | None = b"v") -> RawRecord:
    return RawRecord(offset, 1000 + offset, b"k", value)


@given(logs())
def test_every_record_comes_back_as_it_was_written(log: tuple[bytes, list[RawRecord]]) -> None:
    data, records = log
    assert list(parse(list(split(data)), 0)) == records


@given(logs(), st.integers(0, 30))
def test_records_before_the_offset_asked_for_are_left_out(log: tuple[bytes, list[RawRecord]], first: int) -> None:
    data, records = log
    assert list(parse(list(split(data)), first)) == [record for record in records if record.offset >= first]


@given(logs(), st.data())
def test_a_batch_that_is_cut_off_comes_again_whole(log: tuple[bytes, list[RawRecord]], data: st.DataObject) -> None:
    encoded, _ = log
    whole = list(split(encoded))
    cut = list(split(encoded[: data.draw(st.integers(0, len(encoded) - 1))]))
    assert cut == whole[: len(cut)]
    assert len(cut) < len(whole)


@given(logs(), st.data())
def test_a_changed_byte_is_never_taken_for_data(log: tuple[bytes, list[RawRecord]], data: st.DataObject) -> None:
    """Everything behind the checksum is covered by it; the few bytes before it are the broker's own."""
    encoded, _ = log
    at = data.draw(st.integers(21, len(encoded) - 1))
    first = next(split(encoded))
    damaged = bytearray(encoded)
    damaged[at] ^= 1 << data.draw(st.integers(0, 7))
    if at < 61 + len(first.encoded):
        with pytest.raises(UnreadableError):
            list(split(bytes(damaged)))


@given(logs())
def test_a_slice_is_the_same_records(log: tuple[bytes, list[RawRecord]]) -> None:
    records = parse(list(split(log[0])), 0)
    middle = len(records) // 2
    assert [*records[:middle], *records[middle:]] == list(records)


def test_markers_of_transactions_are_nobodys_data() -> None:
    data = batch([record(0)]) + changed(batch([record(1)]), attributes=CONTROL) + batch([record(2)])
    batches = list(split(data))
    assert [found.offset for found in parse(batches, 0)] == [0, 2]
    assert batches[1].next_offset == 2


def test_an_emptied_batch_still_says_where_the_next_begins() -> None:
    batches = list(split(empty(5, 9)))
    assert (len(parse(batches, 0)), batches[0].next_offset) == (0, 9)


def test_the_brokers_time_counts_where_the_topic_says_so() -> None:
    data = changed(batch([record(0), record(1)]), attributes=APPEND_TIME, max_timestamp=77) + batch([record(2)])
    assert [found.timestamp_ms for found in parse(list(split(data)), 0)] == [77, 77, 1002]


def test_records_that_do_not_add_up_are_an_error() -> None:
    """A checksum can be right and the producer wrong."""
    built = bytearray(batch([record(0), record(1)]))
    built[61] += 2
    with pytest.raises(UnreadableError, match="offset 0"):
        parse(list(split(changed(bytes(built)))), 0)


@pytest.mark.parametrize(("claimed", "packed"), [(1, bytes(50_000_000)), (MOST_RECORDS + 1, b""), (-1, b"")])
def test_a_batch_is_not_searched_for_more_records_than_it_may_have(claimed: int, packed: bytes) -> None:
    """Zeros read as records of no bytes: from two kilobytes come fifty million, of 80 bytes each in two lists."""
    built = repacked(batch([record(0)]), "zstd", zstd_encode(packed), count=claimed)
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableError, match=r"structure|of at most 1,048,576"):
            parse(list(split(built)), 0)
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES + 2 * len(packed) + 2_000_000
    finally:
        tracemalloc.stop()


def test_a_record_that_could_not_be_sent_as_a_dead_letter_is_refused() -> None:
    size = MOST_RECORD_BYTES + 1
    zigzag, number = size << 1, bytearray()
    while zigzag >= 0x80:
        number.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    packed = zstd_encode(bytes([*number, zigzag]) + bytes(size))
    with pytest.raises(UnreadableError, match="offset 0 holds a record of 125,829,121 bytes"):
        parse(list(split(repacked(batch([record(0)]), "zstd", packed))), 0)
    assert size < MAX_RECORD_BYTES


def test_a_record_of_more_headers_than_memory_is_meant_for_is_refused() -> None:
    """An empty header has two bytes, which compress to next to none, and takes a hundred times as many when read."""
    many = [replace(record(0), headers=(("", b""),) * number) for number in (MOST_HEADERS, MOST_HEADERS + 1)]
    assert len(parse(list(split(batch(many[:1]))), 0)[0].headers) == MOST_HEADERS
    with pytest.raises(UnreadableError, match="a record of 65,537 headers"):
        parse(list(split(batch(many[1:]))), 0)


def test_an_older_format_is_refused() -> None:
    built = bytearray(batch([record(0)]))
    built[16] = 1
    with pytest.raises(UnreadableError, match="format 1"):
        list(split(bytes(built)))


@given(st.lists(small, max_size=20))
def test_spans_hold_their_parts(parts: list[bytes | None]) -> None:
    spans = Spans.of(parts)
    assert spans.joined() == b"".join(part or b"" for part in parts)
    assert spans.sizes.tolist() == [-1 if part is None else len(part) for part in parts]
