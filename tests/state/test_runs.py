"""Sorted runs against a dictionary: whatever is added and in whatever portions, each key has its one right row."""

from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.state.runs import SortedRuns
from streams.state.tables import greatest, last_added

SCHEMA = pl.Schema({"key": pl.UInt64, "value": pl.Int64})
PORTIONS = st.lists(st.lists(st.tuples(st.integers(0, 30), st.integers(-5, 5)), max_size=20), max_size=12)


@settings(max_examples=80, deadline=None)
@given(PORTIONS, st.integers(0, 30), st.integers(0, 10))
def test_the_greatest_or_the_last_row_of_each_key(portions: list[list[tuple[int, int]]], low: int, width: int) -> None:
    largest = SortedRuns("key", SCHEMA, greatest("key", ("value",)))
    newest = SortedRuns("key", SCHEMA, last_added("key", lambda: pl.lit(True)))
    greatest_of: dict[int, int] = {}
    last_of: dict[int, int] = {}
    for portion in portions:
        for key, value in portion:
            greatest_of[key] = max(value, greatest_of.get(key, value))
        last_of.update(portion)
        rows = pl.DataFrame(portion, schema=SCHEMA, orient="row")
        largest.add(rows)
        newest.add(rows.unique("key", keep="last", maintain_order=True))
    lows, highs = pl.Series([low], dtype=pl.UInt64), pl.Series([low + width], dtype=pl.UInt64)
    inside = {key for key in last_of if low <= key <= low + width}
    assert dict(largest.between(lows, highs).rows()) == {key: greatest_of[key] for key in inside}
    assert largest.last_between(lows, highs).to_list() == [max(inside, default=None)]
    assert dict(newest.all().rows()) == last_of
    assert newest.all()["key"].is_sorted()
