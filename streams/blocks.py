"""The three tables of a pair-counts block and their Arrow form: layout 1, shared by who writes it and who reads it."""

from __future__ import annotations

import io
import struct
from enum import IntEnum

import polars as pl
import polars_hash as plh
import pyarrow as pa
import pyarrow.ipc
import xxhash

from streams.unfolding import unfolded_bytes

LAYOUT = 1

MAX_TABLE_BYTES = 64 * 1024 * 1024
"""Of a table once it is unfolded, texts that several rows share counted for each. Ours have 8 MB at most, before any
compression (`streams.ingest.shuffle`, `streams.state.segments`); what claims more than this is read by nobody."""


class NotABlock(Exception):  # noqa: N818 - says what the bytes are
    """Bytes that are no Arrow stream, a damaged one, or one of another schema."""

    reason = "not_a_block"


class TooLargeABlock(NotABlock):
    """It would unfold to more than `MAX_TABLE_BYTES`."""

    reason = "block_too_large"


FACTS = pl.Schema({"head": pl.UInt64, "other": pl.UInt64, "bucket": pl.Int32, "action": pl.UInt8, "session": pl.UInt64})
"""One row: in this bucket (days since 1970-01-01 UTC of event time) this session did this to (head, other)."""
HEADS = pl.Schema({"head": pl.UInt64, "kind": pl.UInt8, "text": pl.String})
"""The text behind a head's hash: a normalized query, or a product id."""
PRODUCTS = pl.Schema(
    {
        "product": pl.UInt64,
        "event_time": pl.Int64,
        "product_id": pl.String,
        "title": pl.String,
        "product_type": pl.String,
        "category": pl.String,
    }
)
"""What one event knew of a product, null where it did not say; event_time in milliseconds. Rows are ordered by their
columns from event_time on, null first. Of a product are kept the greatest row and, for each of `LABELS`, the greatest
that knows it: four at most, one mostly. So what an event leaves out takes nothing away of what another said."""
LABELS = ("title", "product_type", "category")
"""What may be null in `PRODUCTS`."""


class FactAction(IntEnum):
    """What a session did, as the byte in a fact."""

    IMPRESSION = 1
    CLICK = 2
    ADD_TO_CART = 3
    PURCHASE = 4
    CO_PURCHASE = 5
    VOUCHER = 6


class HeadCode(IntEnum):
    """What a head is, as the byte in the heads table."""

    QUERY = 1
    PRODUCT = 2


TOTALS_HEAD = 0
"""Reserved head: its facts count the purchasing sessions of the whole stream and go to every partition."""


QUERY, PRODUCT, SESSION = "q:", "p:", ""
"""What is put before a text that is hashed, so that a query and a product of the same text are two heads."""


def query_hash(query: str) -> int:
    """Hash of a query's head; ``query`` is normalized. Stable for ever: partitions and state depend on it."""
    return xxhash.xxh3_64_intdigest((QUERY + query).encode())


def product_hash(product_id: str) -> int:
    """Hash of a product as head and as other."""
    return xxhash.xxh3_64_intdigest((PRODUCT + product_id).encode())


def session_hash(session_id: str) -> int:
    return xxhash.xxh3_64_intdigest((SESSION + session_id).encode())


def hashes(texts: pl.Series, kind: str) -> pl.Series:
    """The same for a column without nulls, in native code; ``kind`` is QUERY, PRODUCT or SESSION."""
    framed = pl.DataFrame({"text": texts}).select(text=pl.concat_str(pl.lit(kind), "text") if kind else "text")
    return framed.select(plh.col("text").nchash.xxh3_64())["text"]


def session_hashes(session_ids: pl.Series, key: str = "") -> pl.Series:
    """`session_hash` of each; with a ``key``, of what BLAKE3 makes of key and id.

    Sessions are counted by their smallest hashes. A shopper's client chooses its own id, and xxh3 is nobody's secret:
    256 ids sought out for their hashes would count as millions. Without the key there is nothing to seek them by.
    """
    if key:
        keyed = pl.DataFrame({"id": session_ids}).select(id=pl.concat_str(pl.lit(key), "id"))
        session_ids = keyed.select(plh.col("id").chash.blake3())["id"]
    return hashes(session_ids, SESSION)


def to_ipc(frame: pl.DataFrame) -> bytes:
    """Arrow IPC stream, not compressed: the producer compresses whole batches, in a thread of its own."""
    out = io.BytesIO()
    frame.write_ipc_stream(out)
    return out.getvalue()


def from_ipc(data: bytes, schema: pl.Schema) -> pl.DataFrame:
    """Read a block; raises NotABlock when it is none of this layout, whatever the bytes are.

    1. what it says of its size and columns, 2. Arrow's own reader and its full validation, 3. polars: its own reader
    ends the process on some damaged bytes, and both allocate whatever they are told.
    """
    owned = _arrow_owned(data)
    try:
        _limited(sum(unfolded_bytes(owned)))
        with pa.ipc.open_stream(owned) as reader:
            _of_schema(pl.DataFrame(reader.schema.empty_table()), schema)
            table = reader.read_all()
        table.validate(full=True)
        frame = pl.DataFrame(table)
    except (pa.ArrowException, pl.exceptions.PolarsError, OSError, ValueError, struct.error) as error:
        raise NotABlock(str(error)) from error
    _limited(_text_bytes(frame))
    return frame


def _of_schema(empty: pl.DataFrame, schema: pl.Schema) -> None:
    if empty.schema != schema:
        raise NotABlock(f"expected {schema}, found {empty.schema}")


def _limited(size_bytes: int) -> None:
    if size_bytes > MAX_TABLE_BYTES:
        raise TooLargeABlock(f"it unfolds to {size_bytes:,} bytes, more than {MAX_TABLE_BYTES:,}")


def _text_bytes(frame: pl.DataFrame) -> int:
    """Of texts, each row's own: a million rows may refer to one text of a megabyte."""
    lengths = frame.select(pl.selectors.string().str.len_bytes().cast(pl.Int64).sum())
    return sum(lengths.row(0)) if lengths.width else 0


def _arrow_owned(data: bytes) -> pa.Buffer:
    """A copy that Arrow owns. Columns over Python's own bytes would take the interpreter's lock when polars drops them
    in a thread of its pool, while the thread that waits for the pool may hold it."""
    copy = pa.allocate_buffer(len(data))
    memoryview(copy).cast("B")[:] = data
    return copy
