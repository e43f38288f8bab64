"""Where ingest's time goes: CPU time a record of each step, by itself, in one thread.

    python -m bench.ingest_stages [--records 20000] [--repeats 15]

The same events as `bench.ingest`, in one fetch as a broker would send it (format 2, zstd); the best of several repeats.
Transport, commits and the producer's own thread are not among the steps: `bench.ingest` measures the whole.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from aiokafka.record.default_records import DefaultRecordBatchBuilder

from bench.harness import Section, finish
from cosmo.workers import one

T = TypeVar("T")
PARTITIONS = 4
EVENTS_DAY = datetime(2026, 1, 2, tzinfo=UTC)
"""Shortly after the events, so that none is refused for its age."""
ZSTD = 4


def main() -> None:
    """Measure, print JSON lines, and end with the section."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--records", type=int, default=20_000)
    arguments.add_argument("--repeats", type=int, default=15)
    chosen = arguments.parse_args()
    one.limit("ingest")
    timer = Timer(chosen.records, chosen.repeats)
    all_steps(timer, fetched(chosen.records))
    finish(section(timer))


class Timer:
    """Keeps the least CPU time that each step took, in µs a record, in the order in which they ran."""

    def __init__(self, records: int, repeats: int) -> None:
        self.records, self.repeats = records, repeats
        self.us_per_record: dict[str, float] = {}

    def __call__(self, step: str, work: Callable[[], T]) -> T:
        """What the step returned."""
        best_s = float("inf")
        for _ in range(self.repeats):
            began_s = time.thread_time()
            result = work()
            best_s = min(best_s, time.thread_time() - began_s)
        self.us_per_record[step] = best_s / self.records * 1e6
        return result


def fetched(records: int) -> bytes:
    """A fetch response's record batches, 500 records in each."""
    from bench.events import searches

    batches = bytearray()
    builder: Any = None
    for number, (key, value) in enumerate(searches(records, 1)):
        if number % 500 == 0:
            batches += _built(builder, number - 500)
            builder = DefaultRecordBatchBuilder(2, ZSTD, 0, -1, -1, 0, 1 << 24)
        builder.append(number % 500, timestamp=1_767_225_600_000 + number, key=key, value=value, headers=[])
    return bytes(batches + _built(builder, (records - 1) // 500 * 500))


def _built(builder: Any, first_offset: int) -> bytes:
    if builder is None:
        return b""
    batch = bytearray(builder.build())
    batch[:8] = first_offset.to_bytes(8, "big")  # the broker's part of the work; no checksum covers it
    return bytes(batch)


def all_steps(timer: Timer, response: bytes) -> None:
    """Every step on what the one before it made."""
    from schemas import avsc
    from schemas.codec import Codec
    from schemas.fixed_registry import FixedRegistry
    from schemas.framing import ID_FRAME_BYTES
    from schemas.records import PairCounts
    from streams.fetch.batches import parse, split
    from streams.fetch.handler import Fetch
    from streams.ingest.block import BlockReader
    from streams.ingest.facts import from_searches
    from streams.ingest.shapes import SEARCHES
    from streams.ingest.shuffle import blocks
    from streams.ingest.walk import well_formed

    schema = avsc.load("query-purchase")
    reader, codec = BlockReader(schema), Codec("pair-counts", PairCounts, FixedRegistry())
    batches = timer("checksums", lambda: list(split(response)))
    records = timer("decompress, find records", lambda: parse(batches, 0))
    bodies = timer("take off the frames", lambda: records.values.without_first(ID_FRAME_BYTES))
    timer("walk: is each body one record?", lambda: well_formed(schema, bodies))
    frame, _ = timer("walk, and Avro into columns", lambda: reader.read(bodies))
    timer("is any row unusual?", lambda: SEARCHES.unusual(frame, EVENTS_DAY))
    rows = timer("block to rows", lambda: SEARCHES.from_block(frame))
    facts = timer("normalize, hash, combine", lambda: from_searches(rows))
    fetch = Fetch("query-purchase", 0, records)
    timer("cut by partition, encode", lambda: [codec.encode(block) for _, block in blocks(fetch, facts, PARTITIONS)])


def section(timer: Timer) -> Section:
    """What was measured. The walk alone is shown, and counted in the step that holds it."""
    whole = {step: us for step, us in timer.us_per_record.items() if not step.startswith("walk: ")}
    rows = [[step, f"{us:.2f}"] for step, us in timer.us_per_record.items()]
    return Section(
        title="Where ingest's time goes",
        command="python -m bench.ingest_stages",
        text=(
            f"One fetch of {timer.records:,} search events, each step by itself in one thread: CPU µs a record. "
            "Fetching, commits and the producer's own thread come on top."
        ),
        columns=("step", "CPU µs a record"),
        rows=[*rows, ["all steps", f"{sum(whole.values()):.2f}"]],
    )


if __name__ == "__main__":
    main()
