"""Our state with so many pairs: merging, memory, writing it to Kafka and loading it again. One process, one thread."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import psutil

from bench.peers.state_stream import BLOCK, every_pair, skewed
from cosmo.runtime.settings import Settings
from schemas.fixed_registry import FixedRegistry
from streams.kafka.producer import ConfirmingProducer
from streams.state.kafka import segment_log
from streams.state.partition import PartitionState


def main() -> None:
    """Arguments: pairs, blocks, partition. Prints one JSON document."""
    pairs, blocks, partition = map(int, sys.argv[1:4])
    sys.stdout.write(json.dumps(asyncio.run(measure(pairs, blocks, partition))) + "\n")


async def measure(pairs: int, blocks: int, partition: int) -> dict[str, Any]:
    """Fill, merge a stream, flush, forget, load."""
    before = psutil.Process().memory_info().rss
    state = PartitionState()
    for tables in every_pair(pairs):
        state.add(tables)
    state.heads()
    found: dict[str, Any] = {"pairs": pairs} | merge(state, pairs, blocks)
    found["rss_bytes"] = psutil.Process().memory_info().rss - before
    found["facts"] = state.rows["facts"]
    found["count_bytes"] = state.bytes["facts"] + state.bytes["pairs"]
    found["text_bytes"] = sum(state.bytes.values()) - found["count_bytes"]
    found["hot_head_s"] = read_hot_head(state)
    return found | await durable(state, partition)


def merge(state: PartitionState, pairs: int, blocks: int) -> dict[str, float]:
    """Rows merged, every summary brought up to date after each block."""
    spent = cpu = 0.0
    for tables in skewed(pairs, blocks):
        began, began_cpu = time.perf_counter(), time.process_time()
        touched = state.add(tables)
        state.pairs_of(touched.head(1))  # whatever is read, all that was touched is brought up to date first
        spent += time.perf_counter() - began
        cpu += time.process_time() - began_cpu
    return {"rows_per_s": blocks * BLOCK / spent, "rows_per_cpu_s": blocks * BLOCK / cpu}


def read_hot_head(state: PartitionState) -> float:
    """Seconds to read all summaries of 1,000 heads, of the hottest of which each pair has hundreds of facts."""
    heads = state.heads().head(1_000)
    began = time.perf_counter()
    state.pairs_of(heads)
    return time.perf_counter() - began


async def durable(state: PartitionState, partition: int) -> dict[str, float]:
    """Flush everything, then load it as a new owner would."""
    settings = Settings()
    async with ConfirmingProducer(settings) as producer:
        log = segment_log(settings, producer, FixedRegistry(), partition)
        began = time.perf_counter()
        await log.flush(state)
        await log.tidied()
        flushed = time.perf_counter()
        loaded = await segment_log(settings, producer, FixedRegistry(), partition).load()
        heads = len(loaded.heads())  # every summary is made
        ready = time.perf_counter()
    assert heads == len(state.heads())
    segments = log.index.live.values()
    same = loaded.fingerprint() == state.fingerprint()
    assert same, "what was loaded is not what was flushed"
    return {
        "flush_s": flushed - began,
        "recover_s": ready - flushed,
        "log_bytes": sum(segment.size_bytes for segment in segments),
    }


if __name__ == "__main__":
    main()
