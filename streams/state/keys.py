"""Facts as single 128-bit integers, so that a set of facts is one sorted column: 16 bytes each, merged at memory speed.

From the top: 64 bits pair, 3 bits action, 46 bits session, 15 bits bucket. Sorted numerically they are sorted by pair,
then action, then session, so that a session's days lie side by side and a pair's smallest sessions come first. The
session keeps the upper 46 of its 64 hash bits: two sessions of one pair fall together with probability below 10⁻¹⁰
for 100 of them.
"""

from __future__ import annotations

import numpy as np
import polars as pl

BUCKET_BITS = 15
SESSION_BITS = 46
ACTION_BITS = 3
MAX_BUCKET = 2**BUCKET_BITS - 1
"""Days since 1970 that fit: until 2059-09-18."""
SESSION_SHIFT = 64 - SESSION_BITS
"""Bits of a session's hash that a key has no room for."""

FACT_KEYS = pl.Schema({"fact": pl.UInt128})
UNPACKED = pl.Schema({"pair": pl.UInt64, "bucket": pl.Int32, "action": pl.UInt8, "session": pl.UInt64})
"""``session`` here is the upper 46 bits of the hash, 0 <= session < 2**46."""

_ACTION_AT = BUCKET_BITS + SESSION_BITS
_ODD = 0x9E3779B97F4A7C15


def pair_keys(head: pl.Series, other: pl.Series) -> pl.Series:
    """One u64 for each (head, other), not symmetric. Both are hashes already, so a linear combination is one too."""
    mixed = head.to_numpy() * np.uint64(_ODD) + other.to_numpy()
    return pl.Series("pair", mixed, dtype=pl.UInt64)


def pack(facts: pl.DataFrame) -> pl.DataFrame:
    """Rows of `streams.blocks.FACTS` as `FACT_KEYS`."""
    rest = (
        pl.col("action").cast(pl.UInt64) * (1 << _ACTION_AT)
        + pl.col("session") // (1 << SESSION_SHIFT) * (1 << BUCKET_BITS)
        + pl.col("bucket").cast(pl.UInt64)
    )
    pair = pl.lit(pair_keys(facts["head"], facts["other"]))
    return facts.select(wide(pair, rest).alias("fact"))


def unpack(keys: pl.DataFrame) -> pl.DataFrame:
    """`FACT_KEYS` as `UNPACKED`, in the same order."""
    rest = pl.col("rest")
    return keys.select(pair=high_half("fact"), rest=low_half("fact")).select(
        "pair",
        bucket=(rest % (1 << BUCKET_BITS)).cast(pl.Int32),
        action=(rest // (1 << _ACTION_AT)).cast(pl.UInt8),
        session=rest // (1 << BUCKET_BITS) % (1 << SESSION_BITS),
    )


def wide(high: pl.Expr, low: pl.Expr) -> pl.Expr:
    """Two u64 as one u128."""
    return high.cast(pl.UInt128) * (1 << 64) + low.cast(pl.UInt128)


def wide_series(high: pl.Series, low: pl.Series) -> pl.Series:
    return pl.select(wide(pl.lit(high), pl.lit(low)).alias("key"))["key"]


def high_half(key: str) -> pl.Expr:
    """Upper u64 of the u128 column ``key``."""
    return (pl.col(key) // (1 << 64)).cast(pl.UInt64)


def low_half(key: str) -> pl.Expr:
    return (pl.col(key) % (1 << 64)).cast(pl.UInt64)


def range_of(high: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Closed range of the u128 whose upper half is ``high``, for each."""
    return (
        pl.select(wide(pl.lit(high), pl.lit(0, pl.UInt64)).alias("key"))["key"],
        pl.select(wide(pl.lit(high), pl.lit(2**64 - 1, pl.UInt64)).alias("key"))["key"],
    )


def bucket_of(fact: pl.Expr) -> pl.Expr:
    """Bucket of a packed fact."""
    return (fact % (1 << BUCKET_BITS)).cast(pl.Int32)


def session_of_pair(fact: pl.Expr) -> pl.Expr:
    """What is left of a packed fact without its bucket: what one session did to one pair, on whatever day."""
    return fact // (1 << BUCKET_BITS)


def group_of(fact: pl.Expr) -> pl.Expr:
    """What a packed fact shares with those that it competes with for being kept: pair and action."""
    return fact // (1 << _ACTION_AT)
