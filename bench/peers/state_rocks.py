"""The same facts in RocksDB (rocksdict): a key for each fact, and a record of counts for each pair."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.peers.state_stream import BLOCK, every_pair, packed, skewed
from streams.ingest.facts import Tables

rocksdict: Any = import_module("rocksdict")  # not among our dependencies


def main() -> None:
    """Arguments: pairs, blocks. Prints one JSON document."""
    pairs, blocks = map(int, sys.argv[1:3])
    with tempfile.TemporaryDirectory() as directory:
        options = rocksdict.Options(raw_mode=True)
        options.create_if_missing(True)
        store = rocksdict.Rdict(directory, options)
        for tables in every_pair(pairs, BLOCK):
            add(store, tables)
        spent = 0.0
        for tables in skewed(pairs, blocks):
            began = time.perf_counter()
            add(store, tables)
            spent += time.perf_counter() - began
        store.flush()
        store.close()
        began = time.perf_counter()
        store = rocksdict.Rdict(directory, options)
        scanned = sum(1 for _ in iter(store.keys()))
        opened = time.perf_counter() - began
        store.close()
        size = sum(path.stat().st_size for path in Path(directory).iterdir())
    found = {"rows_per_s": blocks * BLOCK / spent, "bytes": size, "scan_s": opened, "keys": scanned}
    sys.stdout.write(json.dumps(found) + "\n")


def add(store: Any, tables: Tables) -> None:
    """Which facts are new, then the facts and the counts of their pairs, in one batch."""
    pairs, keys = packed(tables)
    known = store.get(keys)
    fresh = [at for at, value in enumerate(known) if value is None]
    counts = Counter(pairs[at] for at in fresh)
    touched = list(counts)
    before = store.get(touched)
    batch = rocksdict.WriteBatch(raw_mode=True)
    for at in fresh:
        batch.put(keys[at], b"")
    for pair, value in zip(touched, before, strict=True):
        batch.put(pair, (int.from_bytes(value or b"", "big") + counts[pair]).to_bytes(8, "big"))
    store.write(batch)


if __name__ == "__main__":
    main()
