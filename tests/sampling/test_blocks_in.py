"""Records of pair-counts: blocks go through, anything else becomes a dead letter and never ends the process."""

from __future__ import annotations

import random
from dataclasses import replace

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from schemas.codec import Codec
from schemas.fixed_registry import FixedRegistry
from schemas.records import PairCounts
from streams.blocks import FACTS, NotABlock, from_ipc, to_ipc
from streams.fetch.handler import RawRecord
from streams.sampling import blocks_in
from streams.sampling.blocks_in import decode, voucher_blocks
from tests.sampling.examples import orders

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
    ],
)
def test_what_is_no_block_is_a_dead_letter_and_its_neighbours_go_through(bad: bytes | None, reason: str) -> None:
    good = CODEC.encode(BLOCK)
    blocks = decode(CODEC, records(good, bad, good))
    assert [(letter.record.offset, letter.reason) for letter in blocks.bad] == [(1, reason)]
    assert_frame_equal(blocks.tables.facts.unique(), TABLES.facts, check_row_order=False)


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


def test_vouchers_go_to_the_partition_of_the_head_they_are_for() -> None:
    vouchers = TABLES.facts.head(8)
    sent = voucher_blocks(vouchers, 3, ("pair-counts", 2))
    back = decode(CODEC, records(*(CODEC.encode(block) for _, block in sent)))
    assert not back.bad
    assert_frame_equal(back.tables.facts, vouchers, check_row_order=False)
    for partition, block in sent:
        assert set(from_ipc(block.facts, FACTS)["head"] % 3) == {partition}


def test_more_vouchers_than_the_topic_takes_at_once_go_in_several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks_in, "MAX_FACTS", 3)
    sent = [block for _, block in voucher_blocks(TABLES.facts.head(8), 1, ("pair-counts", 2))]
    assert [from_ipc(block.facts, FACTS).height for block in sent] == [3, 3, 2]


def test_a_fetch_of_no_blocks_is_an_empty_union() -> None:
    assert decode(CODEC, records(b"junk")).tables.facts.equals(pl.DataFrame(schema=FACTS))
