"""What one product's sampler tells the owner of a pair about its product: how often it is bought, and whether it goes
with everything. A product pair needs both; the owner knows its own half.

A voucher is a fact like any other, in the place of whose session stands its content, packed so that of several the
smallest is the newest.
"""

from __future__ import annotations

import polars as pl

from streams.blocks import FactAction
from streams.state.keys import SESSION_BITS

STEPS_PER_DOUBLING = 4
"""A voucher is sent again when its support passes one of these steps (19 % apart), not at every purchase. The owner
reckons with the upper edge of the step, so that lift is never overstated."""

_SUPPORT_STEPS = 256  # 4 steps for each of 64 doublings
_CONTENTS = 2 * _SUPPORT_STEPS
_VERSIONS = 2**SESSION_BITS // _CONTENTS
_BELOW_SESSION = 2 ** (64 - SESSION_BITS)  # the state keeps the upper bits of a session's hash

RESEND_DAYS = 7
"""A voucher older than this is sent again while its pair lives, so that it does not fall out of the horizon first."""


def content(own_sessions: pl.Expr, promiscuous: pl.Expr) -> pl.Expr:
    """What a product's voucher says, as a small number: the step of its support, and whether it vouches at all."""
    steps = (own_sessions.clip(1).log(2) * STEPS_PER_DOUBLING).ceil().cast(pl.Int64)
    return (steps * 2 + promiscuous.cast(pl.Int64)).cast(pl.UInt16)


def facts(rows: pl.DataFrame, bucket: int) -> pl.DataFrame:
    """Rows of `FACTS` that carry vouchers. ``rows``: owner (the product told), voucher (the product told of), content,
    version. Of several of one bucket the greatest version is believed, so a version must not fall while the state of
    the bucket grows."""
    rank = (_VERSIONS - 1 - pl.col("version").cast(pl.Int64)).clip(0).cast(pl.UInt64)
    packed = (pl.col("content").cast(pl.UInt64) + rank * _CONTENTS) * _BELOW_SESSION
    return rows.select(
        head="owner",
        other="voucher",
        bucket=pl.lit(bucket, pl.Int32),
        action=pl.lit(FactAction.VOUCHER, pl.UInt8),
        session=packed,
    )


def vouched(pairs: pl.DataFrame) -> pl.DataFrame:
    """Adds ``vouched`` (the other product does not go with everything) and ``other_sessions`` (its support, rounded up)
    from ``voucher``, the packed session as the state keeps it. Null where none has come."""
    said = pl.col("voucher").cast(pl.UInt64) % _CONTENTS
    steps = (said // 2).cast(pl.Float64) / STEPS_PER_DOUBLING
    return pairs.with_columns(vouched=said % 2 == 0, other_sessions=pl.lit(2.0).pow(steps))
