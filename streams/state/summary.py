"""What is known of a pair in one row, so that judging a head costs its number of pairs and not its number of facts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from streams.blocks import FactAction
from streams.state.keys import ACTION_BITS, BUCKET_BITS, MAX_BUCKET, SESSION_BITS

COUNTED = {
    "impressions": FactAction.IMPRESSION,
    "clicks": FactAction.CLICK,
    "carts": FactAction.ADD_TO_CART,
    "purchases": FactAction.PURCHASE,
    "co_purchases": FactAction.CO_PURCHASE,
}
"""Column of `SUMMARY` for each action that shoppers do."""

SUMMARY = pl.Schema(
    {
        "head": pl.UInt64,
        "other": pl.UInt64,
        **dict.fromkeys(COUNTED, pl.UInt32),
        **{f"today_{name}": pl.UInt32 for name in COUNTED},
        "first_bucket": pl.Int32,
        "last_bucket": pl.Int32,
        "voucher": pl.UInt64,
        "voucher_bucket": pl.Int32,
    }
)
"""One row a pair (head, other).

``impressions`` … ``co_purchases``: distinct sessions within the horizon, whatever the number of days on which one
did it. Exact below k (`streams.state.facts.SESSIONS_KEPT`); from k on the bottom-k estimate, rounded and at least k,
with a standard error of 1/sqrt(k - 2).
``today_*``: the same for sessions whose last time was in the partition's newest bucket (the watermark), else 0.
``first_bucket``: no session that is counted was last seen before it; it may be lower than need be, as it depends on how
the stream was cut. ``last_bucket``: newest with a shopper's fact, -1 if there is none but only a voucher.
``voucher``: what the other head's vouch says, the smallest value of its newest bucket; null without one. It is the
upper 46 bits of the fact's ``session``, shifted down by 18: who packs a voucher must keep to them.
``voucher_bucket``: the bucket of that voucher, else -1.
"""

STORED = pl.Schema(
    {
        "pair": pl.UInt128(),
        **{name: dtype for name, dtype in SUMMARY.items() if name not in {"head", "other"}},
        **dict.fromkeys(("first_bucket", "last_bucket", "voucher_bucket"), pl.Int16()),
    }
)
"""How a summary is kept: keyed by head‖other; its ``today_*`` are those of its own ``last_bucket``. When its
``first_bucket`` leaves the horizon, the pair is summarized anew."""

_SPACE = float(1 << SESSION_BITS)
ACTIONS = 1 << ACTION_BITS
"""Width of a table by action."""

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Rows:
    """Facts as columns, sorted by pair, action, session. ``pair`` numbers the pairs asked for."""

    pair: Ints
    action: Ints
    session: Ints
    bucket: Ints

    def where(self, mask: npt.NDArray[np.bool_]) -> Rows:
        return Rows(self.pair[mask], self.action[mask], self.session[mask], self.bucket[mask])


def summarize(facts: pl.DataFrame, pairs: Words, k: int) -> pl.DataFrame:
    """`STORED` without ``pair``: one row for each of ``pairs`` (pair keys, sorted, distinct), in their order.

    ``facts``: `FACT_KEYS` of these pairs in normal form, sorted. A pair without facts has counts 0 and buckets -1.
    """
    rows = rows_of(facts, pairs)
    vouchers = rows.action == FactAction.VOUCHER
    counted = rows.where(~vouchers)
    last = greatest_of(counted.bucket, counted.pair, len(pairs))
    today = counted.where(counted.bucket == last[counted.pair])
    totals, of_today = _counts(counted, len(pairs), k), _counts(today, len(pairs), k)
    columns = {name: totals[:, action] for name, action in COUNTED.items()}
    columns |= {f"today_{name}": of_today[:, action] for name, action in COUNTED.items()}
    columns |= {"first_bucket": smallest_of(rows.bucket, rows.pair, len(pairs)), "last_bucket": last}
    return pl.DataFrame(columns | _vouchers(rows.where(vouchers), len(pairs))).select(
        pl.col(name).cast(dtype) for name, dtype in STORED.items() if name != "pair"
    )


def rows_of(facts: pl.DataFrame, pairs: Words) -> Rows:
    fact = pl.col("fact")
    words = facts.select(pair=(fact // (1 << 64)).cast(pl.UInt64), rest=(fact % (1 << 64)).cast(pl.UInt64))
    rest = words["rest"].to_numpy()
    shift, mask = np.uint64(BUCKET_BITS), np.uint64((1 << SESSION_BITS) - 1)
    return Rows(
        pair=np.searchsorted(pairs, words["pair"].to_numpy()).astype(np.int64),
        action=(rest >> np.uint64(BUCKET_BITS + SESSION_BITS)).astype(np.int64),
        session=(rest >> shift & mask).astype(np.int64),
        bucket=(rest & np.uint64((1 << BUCKET_BITS) - 1)).astype(np.int64),
    )


def _counts(rows: Rows, pairs: int, k: int) -> Ints:
    """Distinct sessions, shape (pairs, actions): exact below k, above it estimated from the k-th smallest hash."""
    group = rows.pair * ACTIONS + rows.action
    counts = np.bincount(group, minlength=pairs * ACTIONS).astype(np.int64)
    crowded = np.flatnonzero(counts >= k)
    kth = np.searchsorted(group, crowded) + k - 1
    estimates = np.rint((k - 1) * _SPACE / (rows.session[kth] + 1)).astype(np.int64)
    counts[crowded] = np.maximum(k, estimates)  # k are known to be there
    return np.minimum(counts, 2**32 - 1).reshape(pairs, ACTIONS)


def _vouchers(rows: Rows, pairs: int) -> dict[str, pl.Series]:
    newest = greatest_of(rows.bucket, rows.pair, pairs)
    current = rows.where(rows.bucket == newest[rows.pair])
    value = np.full(pairs, 2**62, dtype=np.int64)
    np.minimum.at(value, current.pair, current.session)
    return {
        "voucher": pl.select(pl.when(pl.lit(newest) >= 0).then(pl.lit(value)).alias("voucher"))["voucher"],
        "voucher_bucket": pl.Series(newest),
    }


def greatest_of(values: Ints, group: Ints, groups: int) -> Ints:
    found = np.full(groups, -1, dtype=np.int64)
    np.maximum.at(found, group, values)
    return found


def smallest_of(values: Ints, group: Ints, groups: int) -> Ints:
    found = np.full(groups, MAX_BUCKET + 1, dtype=np.int64)
    np.minimum.at(found, group, values)
    return np.where(found > MAX_BUCKET, -1, found)
