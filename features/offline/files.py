"""Parquet files that Feast's file store reads: one directory for each view, and any number of files in it."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cosmo.runtime.errors import CosmoError
from features.rows import Value
from features.views import Kind, View

EVENT_TIMESTAMP = "event_timestamp"

_TYPES = {
    Kind.STRING: pa.string(),
    Kind.STRINGS: pa.list_(pa.string()),
    Kind.DOUBLE: pa.float64(),
    Kind.DOUBLES: pa.list_(pa.float64()),
    Kind.INTS: pa.list_(pa.int64()),
    Kind.INSTANT: pa.timestamp("us", tz="UTC"),
}


def schema(view: View) -> Any:
    """Arrow schema of a view's history: join key, event timestamp, features."""
    head = [(view.join_key, pa.string()), (EVENT_TIMESTAMP, pa.timestamp("us", tz="UTC"))]
    return pa.schema(head + [(feature.name, _TYPES[feature.kind]) for feature in view.features])


def table(view: View, rows: Sequence[tuple[str, datetime, Mapping[str, Value]]]) -> Any:
    """An Arrow table of (entity key, event timestamp, row)."""
    as_dicts = [{view.join_key: key, EVENT_TIMESTAMP: at, **row} for key, at, row in rows]
    return pa.Table.from_pylist(as_dicts, schema=schema(view))


def prepare(root: Path, view: View) -> None:
    """Make the view's directory readable before there is any history: it holds a file without rows."""
    empty = root / view.name / "schema.parquet"
    _write(empty, schema(view).empty_table())


def write(root: Path, view: View, content: Any, *, writer: str) -> Path:
    """Add a table as a file of its own; it is there whole or not at all. Returns its path.

    When this returns the file outlives a power cut: it, its name, and its directory are on the disk itself.
    """
    path = root / view.name / f"{writer}-{uuid.uuid4().hex}.parquet"
    _write(path, content)
    return path


def combine(root: Path, view: View, paths: Iterable[Path], *, writer: str) -> Path:
    """Replace several files by one. A reader in between may see rows twice, which Feast takes for one."""
    paths = tuple(paths)
    combined = write(root, view, pa.concat_tables([pq.read_table(path) for path in paths]), writer=writer)
    for path in paths:
        path.unlink(missing_ok=True)
    return combined


def _write(path: Path, content: Any) -> None:
    """1. the content to the disk, 2. its name, 3. the name to the disk. What is acked for it is never read again."""
    partial = path.with_name(f".{path.name}.partial")  # readers pass over names that begin with a dot
    try:
        _make_directory(path.parent)
        with partial.open("wb") as file:
            pq.write_table(content, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise CosmoError(
            f"The offline store cannot be written: {error.strerror or error}.",
            advice=f"Make room in {path.parent}, or point COSMO_HOME elsewhere.",
        ) from error


def _make_directory(path: Path) -> None:
    """With its parents; each is on the disk as an entry of the one above it."""
    if path.is_dir():
        return
    _make_directory(path.parent)
    path.mkdir(exist_ok=True)
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    """Names are the directory's content: a file that is synced is still lost if its name is not."""
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
