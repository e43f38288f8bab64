"""Facts as single 128-bit integers, so that a set of facts is one sorted column: 16 bytes each, merged at memory speed.

From the top: 64 bits pair, 15 bits bucket, 3 bits action, 46 bits session. Sorted numerically they are sorted by pair,
then bucket, then action, then session, which is the order that bottom-k needs. The session keeps the upper 46 of its
64 hash bits: two sessions of one pair and day fall together with probability below 10⁻¹⁰ for 100 of them.
"""

from __future__ import annotations

import numpy as np
import polars as pl

SESSION_BITS = 46
ACTION_BITS = 3
BUCKET_BITS = 15
MAX_BUCKET = 2**BUCKET_BITS - 1
"""Days since 1970 that fit: until 2059-09-18."""

FACT_KEYS = pl.Schema({"fact": pl.UInt128})
UNPACKED = pl.Schema({"pair": pl.UInt64, "bucket": pl.Int32, "action": pl.UInt8, "session": pl.UInt64})
"""``session`` here is the upper 46 bits of the hash, 0 <= session < 2**46."""

_REST_BITS = BUCKET_BITS + ACTION_BITS + SESSION_BITS
_ODD = np.uint64(0x9E3779B97F4A7C15)


def pair_keys(head: pl.Series, other: pl.Series) -> pl.Series:
    """One u64 for each (head, other), not symmetric. Both are hashes already, so a linear combination is one too."""
    mixed = head.to_numpy() * _ODD + other.to_numpy()
    return pl.Series("pair", mixed, dtype=pl.UInt64)


def pack(facts: pl.DataFrame) -> pl.DataFrame:
    """Rows of `streams.blocks.FACTS` as `FACT_KEYS`."""
    rest = (
        pl.col("bucket").cast(pl.UInt64) * (1 << (ACTION_BITS + SESSION_BITS))
        + pl.col("action").cast(pl.UInt64) * (1 << SESSION_BITS)
        + pl.col("session") // (1 << (64 - SESSION_BITS))
    )
    pair = pl.lit(pair_keys(facts["head"], facts["other"]))
    return facts.select(wide(pair, rest).alias("fact"))


def unpack(keys: pl.DataFrame) -> pl.DataFrame:
    """`FACT_KEYS` as `UNPACKED`, in the same order."""
    rest = (pl.col("fact") % (1 << 64)).cast(pl.UInt64)
    halves = keys.select(pair=(pl.col("fact") // (1 << 64)).cast(pl.UInt64), rest=rest)
    return halves.select(
        "pair",
        bucket=(pl.col("rest") // (1 << (ACTION_BITS + SESSION_BITS))).cast(pl.Int32),
        action=(pl.col("rest") // (1 << SESSION_BITS) % (1 << ACTION_BITS)).cast(pl.UInt8),
        session=pl.col("rest") % (1 << SESSION_BITS),
    )


def wide(high: pl.Expr, low: pl.Expr) -> pl.Expr:
    """Two u64 as one u128."""
    return high.cast(pl.UInt128) * (1 << 64) + low.cast(pl.UInt128)


def wide_series(high: pl.Series, low: pl.Series) -> pl.Series:
    return pl.select(wide(pl.lit(high), pl.lit(low)).alias("key"))["key"]


def range_of(high: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Closed range of the u128 whose upper half is ``high``, for each."""
    return (
        pl.select(wide(pl.lit(high), pl.lit(0, pl.UInt64)).alias("key"))["key"],
        pl.select(wide(pl.lit(high), pl.lit(2**64 - 1, pl.UInt64)).alias("key"))["key"],
    )


def bucket_of(fact: pl.Expr) -> pl.Expr:
    """Bucket of a packed fact, without unpacking the rest."""
    return (fact // (1 << (ACTION_BITS + SESSION_BITS)) % (1 << BUCKET_BITS)).cast(pl.Int32)


def group_of(fact: pl.Expr) -> pl.Expr:
    """What a packed fact shares with those that it competes with for the bottom k: pair, bucket and action."""
    return fact // (1 << SESSION_BITS)
