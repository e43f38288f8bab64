"""A pair's summary after a block, from its summary before and the block's facts: what it costs does not depend on how
many facts the pair has. Where that cannot be told, it says so, and the pair is summarized from all its facts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from streams.blocks import FactAction
from streams.state.keys import SESSION_BITS
from streams.state.summary import ACTIONS, COUNTED, STORED, Ints, Rows, greatest_of, smallest_of

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Before:
    """Summaries before the block, a row for each pair; counts have shape (pairs, actions)."""

    totals: Ints
    today: Ints
    first: Ints
    last: Ints

    @classmethod
    def of(cls, stored: pl.DataFrame) -> Before:
        """From `STORED`; null where a pair was not known."""
        return cls(
            totals=_counts(stored, ""),
            today=_counts(stored, "today_"),
            first=_bucket(stored, "first_bucket"),
            last=_bucket(stored, "last_bucket"),
        )


def superfluous(before: Before, rows: Rows, k: int) -> Mask:
    """Facts that the state has no room for: k smaller sessions are known that did the same as recently. They are
    dropped before anything is done for them; most facts of a hot pair are such."""
    bound = _kth_at_most(before.today, k)[rows.pair, rows.action]
    recent = rows.bucket <= before.last[rows.pair]
    return np.asarray((rows.session > bound) & recent & (rows.action != FactAction.VOUCHER), dtype=np.bool_)


def increment(before: Before, rows: Rows, odd: Mask, k: int, oldest_alive: int) -> tuple[pl.DataFrame, Mask]:
    """`STORED` without pair and vouchers after ``rows``, and for which pairs it is right.

    ``rows`` are facts within the horizon whose session is not known to the pair, but for those that are ``odd``: their
    pairs are not done here, nor those with old facts that have left the horizon, nor those of which an estimate moves.
    """
    pairs = len(before.last)
    last = np.maximum(before.last, greatest_of(rows.bucket, rows.pair, pairs))
    now = rows.where(rows.bucket == last[rows.pair])
    today_before = np.where((before.last == last)[:, None], before.today, 0)
    today_more = _by_action(now, pairs)
    today = today_before + today_more
    more = _by_action(rows, pairs)
    crowded = before.totals >= k
    totals = np.where(crowded, before.totals, before.totals + more)
    unmoved = (more == 0) | (_smallest_sessions(rows, pairs) > _kth_at_most(before.totals, k))
    right = np.where(crowded, unmoved, totals < k) & ((today_more == 0) | (today < k))
    fits = right.all(axis=1) & (greatest_of(odd.astype(np.int64), rows.pair, pairs) < 1)
    fits &= (before.first >= oldest_alive) | (before.first < 0)
    first = smallest_of(rows.bucket, rows.pair, pairs)
    first = np.where(before.first < 0, first, np.minimum(first, before.first))
    columns = {name: totals[:, action] for name, action in COUNTED.items()}
    columns |= {f"today_{name}": today[:, action] for name, action in COUNTED.items()}
    columns |= {"first_bucket": first, "last_bucket": last}
    return pl.DataFrame(columns).select(pl.col(name).cast(STORED[name]) for name in columns), fits


def _kth_at_most(counts: Ints, k: int) -> npt.NDArray[np.float64]:
    """An upper bound of the k-th smallest session behind each estimate; above all sessions where there is none."""
    estimated = counts > k  # an estimate of k may be a lower one, raised to what is known to be there
    bound = (k - 1) * float(1 << SESSION_BITS) / (np.where(estimated, counts, k) - 0.5)
    return np.where(estimated, bound, float(1 << SESSION_BITS))


def _by_action(rows: Rows, pairs: int) -> Ints:
    flat = np.bincount(rows.pair * ACTIONS + rows.action, minlength=pairs * ACTIONS)
    return flat.astype(np.int64).reshape(pairs, ACTIONS)


def _smallest_sessions(rows: Rows, pairs: int) -> Ints:
    found = np.full(pairs * ACTIONS, 1 << SESSION_BITS, dtype=np.int64)
    np.minimum.at(found, rows.pair * ACTIONS + rows.action, rows.session)
    return found.reshape(pairs, ACTIONS)


def _counts(stored: pl.DataFrame, prefix: str) -> Ints:
    counts = np.zeros((stored.height, ACTIONS), dtype=np.int64)
    for name, action in COUNTED.items():
        counts[:, action] = stored[prefix + name].fill_null(0).to_numpy()
    return counts


def _bucket(stored: pl.DataFrame, name: str) -> Ints:
    return stored[name].fill_null(-1).to_numpy().astype(np.int64)
