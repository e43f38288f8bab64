"""The canonical hash of a partition's counted state: one line that says whether two states are the same."""

from __future__ import annotations

import polars as pl
import xxhash

from streams.blocks import FactAction
from streams.state.keys import unpack


def fingerprint(facts: pl.DataFrame, heads: pl.DataFrame, products: pl.DataFrame) -> str:
    """32 hex digits. ``facts``: `FACT_KEYS` in normal form, sorted; vouchers in it do not count. ``heads`` and
    ``products``: in normal form, sorted by key."""
    hashed = xxhash.xxh3_128()
    for frame in (unpack(facts).filter(pl.col("action") < FactAction.VOUCHER), heads, products):
        hashed.update(f"{frame.height};".encode())
        for column in frame:
            _update(hashed, column)
    return hashed.hexdigest()


def _update(hashed: xxhash.xxh3_128, column: pl.Series) -> None:
    if column.dtype == pl.String:
        # A length before each text, -1 for null: no two columns give the same bytes.
        lengths = column.str.len_bytes().cast(pl.Int64).fill_null(-1)
        hashed.update(lengths.to_numpy().tobytes())
        hashed.update("".join(column.drop_nulls()).encode())
    else:
        hashed.update(column.to_numpy().tobytes())
