"""Kafka's record batches as columns: the same records as written, whatever a batch holds, or an error."""

from __future__ import annotations

import pytest
from aiokafka.errors import CorruptRecordException
from hypothesis import given
from hypothesis import strategies as st

from streams.fetch.batches import parse, split
from streams.fetch.records import RawRecord, Spans
from tests.fetch.batch_examples import APPEND_TIME, CONTROL, batch, changed, empty, logs, small


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
        with pytest.raises(CorruptRecordException):
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
    with pytest.raises(CorruptRecordException, match="offset 0"):
        parse(list(split(changed(bytes(built)))), 0)


def test_an_older_format_is_refused() -> None:
    built = bytearray(batch([record(0)]))
    built[16] = 1
    with pytest.raises(CorruptRecordException, match="format 1"):
        list(split(bytes(built)))


@given(st.lists(small, max_size=20))
def test_spans_hold_their_parts(parts: list[bytes | None]) -> None:
    spans = Spans.of(parts)
    assert spans.joined() == b"".join(part or b"" for part in parts)
    assert spans.sizes.tolist() == [-1 if part is None else len(part) for part in parts]
