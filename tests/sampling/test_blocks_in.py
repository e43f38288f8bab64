"""Records of pair-counts: blocks go through, anything else becomes a dead letter and never ends the process."""

from __future__ import annotations

import io
import random
import resource
from dataclasses import replace
from datetime import timedelta

import polars as pl
import pyarrow as pa
import pyarrow.ipc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from schemas.codec import Codec
from schemas.fixed_registry import FixedRegistry
from schemas.records import PairCounts
from streams.blocks import FACTS, HEADS, FactAction, NotABlock, from_ipc, to_ipc
from streams.fetch.handler import RawRecord
from streams.ingest.facts import DAY_MS, newest
from streams.ingest.shuffle import MAX_FACTS
from streams.sampling import blocks_in
from streams.sampling.blocks_in import decode, voucher_blocks
from streams.unfolding import unfolded_bytes
from tests.sampling.cluster import NOW
from tests.sampling.examples import TODAY, bought, orders, searches, together

CODEC = Codec("pair-counts", PairCounts, FixedRegistry())
TABLES = orders([["tent-1", "peg-1"], ["coat-1", "scarf-1"]]).tables(0, 1)
BLOCK = PairCounts(
    source_topic="co-purchase",
    source_partition=0,
    first_offset=0,
    last_offset=1,
    layout=1,
    facts=to_ipc(TABLES.facts),
    heads=to_ipc(TABLES.heads),
    products=to_ipc(TABLES.products),
)


def with_facts(*changes: pl.Expr) -> PairCounts:
    return replace(BLOCK, facts=to_ipc(TABLES.facts.with_columns(changes)))


def records(*values: bytes | None) -> list[RawRecord]:
    return [RawRecord(offset, 0, None, value) for offset, value in enumerate(values)]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (None, "null_value"),
        (b"junk", "wrong_magic"),
        (CODEC.encode(replace(BLOCK, layout=2)), "not_a_block"),
        (CODEC.encode(replace(BLOCK, facts=b"")), "not_a_block"),
        (CODEC.encode(replace(BLOCK, facts=BLOCK.facts[:-40])), "not_a_block"),
        (CODEC.encode(replace(BLOCK, heads=BLOCK.facts)), "not_a_block"),
        (CODEC.encode(replace(BLOCK, products=b"\x00" * 64)), "not_a_block"),
        (CODEC.encode(with_facts(pl.col("head").replace(TABLES.facts["head"][0], None))), "not_a_block"),
        (CODEC.encode(with_facts(pl.lit(-1, pl.Int32).alias("bucket"))), "not_a_block"),
        (CODEC.encode(with_facts(pl.lit(7, pl.UInt8).alias("action"))), "not_a_block"),
        (CODEC.encode(with_facts(pl.lit(0, pl.UInt8).alias("action"))), "not_a_block"),
    ],
)
def test_what_is_no_block_is_a_dead_letter_and_its_neighbours_go_through(bad: bytes | None, reason: str) -> None:
    good = CODEC.encode(BLOCK)
    blocks = decode(CODEC, records(good, bad, good), NOW)
    assert [(letter.record.offset, letter.reason) for letter in blocks.bad] == [(1, reason)]
    assert_frame_equal(blocks.tables.facts.unique(), TABLES.facts, check_row_order=False)


def test_facts_of_days_that_have_not_come_are_left_out_and_their_record_is_a_dead_letter() -> None:
    tomorrow, later = orders([["tent-1"]], day=TODAY + 2), orders([["tent-1"]], day=TODAY + 3)
    facts = pl.concat([TABLES.facts, tomorrow.facts, later.facts])
    products = pl.concat([TABLES.products, later.tables(0, 1).products])
    block = CODEC.encode(replace(BLOCK, facts=to_ipc(facts), products=to_ipc(products)))
    taken = decode(CODEC, records(block), NOW)
    (letter,) = taken.bad
    assert (letter.record.value, letter.reason) == (block, "time_in_future")
    assert letter.detail == "2 facts and 1 products are of days after 2024-10-06"
    assert_frame_equal(taken.tables.facts, pl.concat([TABLES.facts, tomorrow.facts]))
    assert_frame_equal(taken.tables.products, TABLES.products)
    assert not decode(CODEC, records(block), NOW + timedelta(days=1)).bad


def test_what_is_left_out_takes_no_product_with_it_that_the_rest_names() -> None:
    """A block holds the newest row of a product alone: here one of an event whose day has not come."""
    timely, later = bought("tent", "tent-1", 4), bought("boots", "boot-1", 4)
    ahead = [("somebody", query, name, FactAction.CLICK) for query, name in (("shelter", "tent-1"), ("lamp", "lamp-1"))]
    fetch = together(searches(timely), searches(later, day=TODAY - 1), searches(ahead, day=TODAY + 3)).tables(0, 1)
    block = replace(BLOCK, facts=to_ipc(fetch.facts), heads=to_ipc(fetch.heads), products=to_ipc(fetch.products))
    taken = decode(CODEC, records(CODEC.encode(block)), NOW)
    found = dict(taken.tables.products.select("product_id", "event_time").iter_rows())
    assert found == {"tent-1": (TODAY + 1) * DAY_MS - 1, "boot-1": (TODAY - 1) * DAY_MS}
    (letter,) = taken.bad
    assert letter.detail == "2 facts and 2 products are of days after 2024-10-06"
    when_replayed = decode(CODEC, records(CODEC.encode(block)), NOW + timedelta(days=3)).tables.products
    both = newest(pl.concat([taken.tables.products, when_replayed]))
    assert_frame_equal(both, when_replayed, check_row_order=False)


def test_a_product_ahead_of_its_time_is_taken_too_where_its_facts_come_in_a_later_block() -> None:
    fetch = together(searches(bought("tent", "tent-1", 4)), searches(bought("tents", "tent-1", 1), day=TODAY + 3))
    tables = fetch.tables(0, 1)
    products_alone = replace(BLOCK, facts=to_ipc(FACTS.to_frame()), products=to_ipc(tables.products))
    (known,) = decode(CODEC, records(CODEC.encode(products_alone)), NOW).tables.products.iter_rows(named=True)
    assert (known["product_id"], known["event_time"]) == ("tent-1", (TODAY + 3) * DAY_MS - 1)


def test_a_product_ahead_of_its_time_is_taken_with_all_that_its_rows_know() -> None:
    """The row of the newest event and the one that knows its type are of days that have not come."""
    later = [searches(bought("tents", "tent-1", 1, tag=str(day)), day=TODAY + day) for day in (3, 4)]
    later[1] = replace(later[1], products=later[1].products.with_columns(product_type=pl.lit(None, pl.String)))
    tables = together(searches(bought("tent", "tent-1", 4)), *later).tables(0, 1)
    assert tables.products.height == 2
    block = CODEC.encode(replace(BLOCK, facts=to_ipc(tables.facts), products=to_ipc(tables.products)))
    (known,) = decode(CODEC, records(block), NOW).tables.products.iter_rows(named=True)
    assert (known["product_type"], known["event_time"]) == ("tent", (TODAY + 1) * DAY_MS - 1)


def test_damaged_bytes_are_refused_or_read_and_never_crash_the_process() -> None:
    chance = random.Random(11)
    for data, schema in ((BLOCK.facts, FACTS), (BLOCK.heads, TABLES.heads.schema)):
        for _ in range(2_000):
            damaged = bytearray(data)
            for _ in range(chance.randrange(1, 5)):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            try:
                from_ipc(bytes(damaged[: chance.randrange(len(data))] if chance.random() < 0.3 else damaged), schema)
            except NotABlock:
                continue


def compressed(frame: pl.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.write_ipc_stream(out, compression="zstd")
    return out.getvalue()


def claiming(data: bytes, before: int, after: int) -> bytes:
    """A compressed table in which the buffers of one length claim another."""
    old, new = before.to_bytes(8, "little"), after.to_bytes(8, "little")
    assert old in data
    return data.replace(old, new)


@pytest.mark.parametrize("claim", [2**31, 2**40, 2**62])
def test_a_block_that_claims_gigabytes_is_a_dead_letter_before_anything_is_allocated(claim: int) -> None:
    facts = pl.concat([TABLES.facts] * 10_000)
    bomb = claiming(compressed(facts), 8 * facts.height, claim)
    assert len(bomb) < 1_000_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    good = CODEC.encode(BLOCK)
    blocks = decode(CODEC, records(good, CODEC.encode(replace(BLOCK, facts=bomb)), good), NOW)
    assert [(letter.record.offset, letter.reason) for letter in blocks.bad] == [(1, "block_too_large")]
    assert blocks.tables.facts.height == 2 * TABLES.facts.height
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kilobytes


def test_a_block_that_really_unfolds_to_too_much_is_a_dead_letter_too() -> None:
    zeros = pl.DataFrame({name: pl.zeros(4_000_000, dtype, eager=True) for name, dtype in FACTS.items()})
    bomb = compressed(zeros)
    assert len(bomb) < 1_000_000
    (letter,) = decode(CODEC, records(CODEC.encode(replace(BLOCK, facts=bomb))), NOW).bad
    assert letter.reason == "block_too_large"
    assert "unfolds to 116,000,000 bytes" in letter.detail


def test_rows_that_all_refer_to_one_large_text_are_counted_each() -> None:
    """It is written once for all of them, and would be copied for each."""
    text = pl.Series(["x" * 100_000]).gather([0] * 2_000)
    rows = pl.DataFrame({"head": range(2_000), "kind": 1, "text": text}, schema=HEADS)
    assert len(to_ipc(rows)) < 1_000_000
    (letter,) = decode(CODEC, records(CODEC.encode(replace(BLOCK, heads=to_ipc(rows)))), NOW).bad
    assert letter.reason == "block_too_large"


def test_the_largest_blocks_of_ours_are_read() -> None:
    rows = pl.DataFrame({name: pl.zeros(MAX_FACTS, dtype, eager=True) for name, dtype in FACTS.items()})
    assert from_ipc(to_ipc(rows), FACTS).height == MAX_FACTS
    assert from_ipc(compressed(rows), FACTS).height == MAX_FACTS


@given(rows=st.integers(0, 200), batches=st.integers(1, 3), zstd=st.booleans())
def test_what_is_told_beforehand_is_what_is_read(rows: int, batches: int, zstd: bool) -> None:
    frame = pl.DataFrame({name: pl.zeros(rows, dtype, eager=True) for name, dtype in FACTS.items()})
    out = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression="zstd" if zstd else None)
    with pa.ipc.new_stream(out, frame.to_arrow().schema, options=options) as writer:
        for _ in range(batches):
            writer.write_table(frame.to_arrow())
    assert sum(unfolded_bytes(pa.py_buffer(out.getvalue()))) == 29 * rows * batches


def test_vouchers_go_to_the_partition_of_the_head_they_are_for() -> None:
    vouchers = TABLES.facts.head(8)
    sent = voucher_blocks(vouchers, 3, ("pair-counts", 2))
    back = decode(CODEC, records(*(CODEC.encode(block) for _, block in sent)), NOW)
    assert not back.bad
    assert_frame_equal(back.tables.facts, vouchers, check_row_order=False)
    for partition, block in sent:
        assert set(from_ipc(block.facts, FACTS)["head"] % 3) == {partition}


def test_more_vouchers_than_the_topic_takes_at_once_go_in_several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks_in, "MAX_FACTS", 3)
    sent = [block for _, block in voucher_blocks(TABLES.facts.head(8), 1, ("pair-counts", 2))]
    assert [from_ipc(block.facts, FACTS).height for block in sent] == [3, 3, 2]


def test_a_fetch_of_no_blocks_is_an_empty_union() -> None:
    assert decode(CODEC, records(b"junk"), NOW).tables.facts.equals(pl.DataFrame(schema=FACTS))
