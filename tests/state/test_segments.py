"""Segments: small enough for the topic, read back as they were, merged by size."""

from __future__ import annotations

import contextlib

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.records import SampleState
from streams.blocks import FACTS, HEADS
from streams.state.segments import FAN_IN, MAX_ROWS_BYTES, SMALL_BYTES, Index, Segment, Unreadable, decode, encode

ROWS = 1_000_000


def incompressible(rows: int) -> pl.DataFrame:
    random = np.random.default_rng(1)
    words = {name: random.integers(0, 2**63, rows, dtype=np.uint64) for name in ("head", "other", "session")}
    return pl.DataFrame(words).with_columns(bucket=pl.lit(100), action=pl.lit(1)).select(list(FACTS)).cast(FACTS)


def test_a_large_table_is_cut_into_records_that_the_topic_takes_and_none_of_its_rows_is_lost() -> None:
    rows = incompressible(ROWS)
    encoded = list(encode("facts", rows))
    assert len(encoded) > 1
    assert all(len(record.rows) <= MAX_ROWS_BYTES * 1.01 for _, record in encoded)
    together = pl.concat([decode(record)[1] for _, record in encoded])
    assert sum(height for height, _ in encoded) == ROWS
    assert together.sort(list(FACTS)).equals(rows.sort(list(FACTS)))


def few_texts() -> SampleState:
    rows = pl.DataFrame(
        {"head": [1, 2, 3], "kind": [1, 1, 2], "text": ["tent", "a long query for two", ""]}, schema=HEADS
    )
    ((_, record),) = encode("heads", rows)
    return record


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4), st.integers(0, 10**6))
def test_bytes_that_changed_on_the_way_give_rows_or_a_sentence_and_nothing_else(
    changes: list[tuple[int, int]], cut: int
) -> None:
    """Polars' own reader ends the process on some of these."""
    data = bytearray(few_texts().rows)
    for place, byte in changes:
        data[place % len(data)] = byte
    record = SampleState(layout=1, table="heads", rows=bytes(data[: len(data) - cut % 3]))
    with contextlib.suppress(Unreadable):
        _, rows = decode(record)
        assert rows.schema == HEADS
        assert all(isinstance(text, str | None) for text in rows["text"])


def segment(number: int, size: int) -> Segment:
    return Segment.of(str(number), "facts", size // 8, bytes(size))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, SMALL_BYTES), min_size=1, max_size=400))
def test_merging_until_nothing_is_to_merge_leaves_few_segments(sizes: list[int]) -> None:
    """Merged ones are as large as their parts together; nothing is ever merged with itself for ever."""
    index = Index()
    for number, size in enumerate(sizes):
        index.add([segment(number, size)])
        while small := index.to_merge():
            index.remove(small)
            index.add([segment(10_000 + number, sum(part.size_bytes for part in small))])
    small_ones = [part for part in index.live.values() if part.rows is not None]
    assert len(small_ones) < FAN_IN * 4
    assert sum(part.size_bytes for part in index.live.values()) == sum(sizes)


def test_a_segment_too_large_to_merge_does_not_stay_in_memory() -> None:
    assert segment(1, SMALL_BYTES).rows is None
    assert segment(1, SMALL_BYTES - 1).rows is not None
