"""Fetches of pair-counts: every record a block, or a dead letter with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from schemas.codec import Codec
from schemas.errors import Reason, Undecodable
from schemas.records import PairCounts
from streams.blocks import FACTS, HEADS, LAYOUT, PRODUCTS, NotABlock, to_ipc
from streams.fetch.handler import Bad, RawRecord
from streams.ingest.facts import Tables
from streams.ingest.shuffle import MAX_FACTS
from streams.state.taken import tables_of


@dataclass(frozen=True, slots=True)
class Blocks:
    """A fetch taken apart: the union of its blocks, and what was no block, or one that is ahead of its time."""

    tables: Tables
    bad: Sequence[Bad]


def decode(codec: Codec[PairCounts], records: Sequence[RawRecord], now: datetime) -> Blocks:
    """Every record ends in one or the other; in both when only some of its facts are of days that have not come. Then
    it may be replayed when they have: what is known already changes nothing."""
    good: list[Tables] = []
    bad: list[Bad] = []
    for record in records:
        try:
            taken = tables_of(codec.decode(record.value, record.headers), now)
        except Undecodable as error:
            bad.append(Bad(record, str(error.reason), error.detail))
        except NotABlock as error:
            bad.append(Bad(record, error.reason, str(error)))
        else:
            good.append(taken.tables)
            if taken.ahead:
                bad.append(Bad(record, str(Reason.TIME_IN_FUTURE), taken.ahead))
    return Blocks(_union(good), bad)


def _union(tables: Sequence[Tables]) -> Tables:
    return Tables(
        facts=pl.concat([FACTS.to_frame(), *(one.facts for one in tables)]),
        heads=pl.concat([HEADS.to_frame(), *(one.heads for one in tables)]),
        products=pl.concat([PRODUCTS.to_frame(), *(one.products for one in tables)]),
    )


def voucher_blocks(vouchers: pl.DataFrame, partitions: int, source: tuple[str, int]) -> list[tuple[int, PairCounts]]:
    """(target partition, block) of vouchers for the heads of each partition; none is larger than the topic takes.
    ``source``: topic and partition of the sampler that vouches; its blocks come from no fetch, so their offsets are
    -1."""
    none, blocks = to_ipc(HEADS.to_frame()), []
    for (target,), theirs in vouchers.group_by(pl.col("head") % partitions):
        assert isinstance(target, int)
        for part in theirs.iter_slices(MAX_FACTS):
            block = PairCounts(
                source_topic=source[0],
                source_partition=source[1],
                first_offset=-1,
                last_offset=-1,
                layout=LAYOUT,
                facts=to_ipc(part),
                heads=none,
                products=to_ipc(PRODUCTS.to_frame()),
            )
            blocks.append((target, block))
    return blocks
