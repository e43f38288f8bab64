"""Writes the graph to a file: one row for each piece of evidence, as Parquet or as JSON lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from cosmo.runtime.errors import CosmoError
from features.phrases import phrase
from schemas.records import Intent

_TEXT, _TIME = pa.string(), pa.timestamp("ms", tz="UTC")
_PRODUCT = pa.struct([(name, _TEXT) for name in ("product_id", "title", "product_type", "category")])
SCHEMA = pa.schema(
    [
        *((name, _TEXT) for name in ("intent_id", "pair_id", "head_kind", "head", "relation", "tail", "tail_key")),
        ("text", _TEXT),
        ("query", _TEXT),
        ("products", pa.list_(_PRODUCT)),
        *((name, pa.float64()) for name in ("plausibility", "typicality")),
        ("support", pa.int64()),
        *((name, _TIME) for name in ("event_time", "generated_time")),
        *((name, _TEXT) for name in ("template_id", "model_id")),
        ("specificity", pa.float64()),
        ("product_types", pa.list_(_TEXT)),
        ("scores", pa.map_(_TEXT, pa.float64())),
    ]
)
"""Columns of the Parquet file; the members of each JSON object are the same (times in ISO 8601)."""


class Sink(Protocol):
    """Takes rows."""

    def write(self, intents: Sequence[Intent]) -> None:
        """Append one row for each."""

    def close(self) -> None:
        """Complete the file."""


@contextmanager
def opened(path: Path) -> Iterator[Sink]:
    """A sink for the file; the suffix, ``.parquet`` or ``.jsonl``, decides its form.

    The file is there whole when the block has ended without error, and not at all before.
    """
    make = _SINKS.get(path.suffix)
    if make is None:
        raise CosmoError(f"{path.name} ends in neither .parquet nor .jsonl.", advice="Give the file such a name.")
    partial = path.with_name(f".{path.name}.partial")
    try:
        sink = make(partial)
        try:
            yield sink
        finally:
            sink.close()
        partial.replace(path)
    except OSError as error:
        raise CosmoError(
            f"{path} cannot be written: {error.strerror or error}.", advice="Give another file."
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def row(intent: Intent) -> dict[str, Any]:
    """One row, by the names of SCHEMA."""
    made = {
        "head_kind": intent.head_kind.value,
        "text": phrase(intent.relation, intent.tail),
        "products": [{field.name: getattr(product, field.name) for field in _PRODUCT} for product in intent.products],
        "product_types": list(intent.product_types),
        "scores": dict(intent.scores),
    }
    return {name: made[name] if name in made else getattr(intent, name) for name in SCHEMA.names}


class _Parquet:
    def __init__(self, path: Path) -> None:
        self._writer = pq.ParquetWriter(path, SCHEMA, compression="zstd")

    def write(self, intents: Sequence[Intent]) -> None:
        rows = [row(intent) for intent in intents]
        if rows:
            self._writer.write_table(pa.Table.from_pylist(rows, schema=SCHEMA))

    def close(self) -> None:
        self._writer.close()


class _Lines:
    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

    def write(self, intents: Sequence[Intent]) -> None:
        for intent in intents:
            self._file.write(orjson.dumps(row(intent), option=_LINE))

    def close(self) -> None:
        self._file.close()


_SINKS: dict[str, Callable[[Path], Sink]] = {".parquet": _Parquet, ".jsonl": _Lines}
_LINE = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z
