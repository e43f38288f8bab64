"""The same facts in a Faust table with its changelog: one write for each pair of a block, facts merged as sets.

Two modes: ``merge`` counts rows from the first to the last block; ``recover`` starts with the changelog that this left
and measures until the table is full again.
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
from typing import Any

import faust
import polars as pl

from bench.peers.meter import Meter
from bench.peers.state_stream import packed
from streams.blocks import HEADS, PRODUCTS
from streams.ingest.facts import Tables

ITEM_BYTES = 11
SESSION_S = 6.0


def merged(value: bytes | None, items: list[bytes]) -> bytes:
    """Union of facts, sorted, end to end."""
    old = value or b""
    known = {old[at : at + ITEM_BYTES] for at in range(0, len(old), ITEM_BYTES)}
    return b"".join(sorted(known.union(items)))


def by_pair(block: bytes) -> dict[bytes, list[bytes]]:
    """Facts of a block by the 8 bytes of their pair."""
    facts = pl.read_ipc_stream(io.BytesIO(block))
    _, keys = packed(Tables(facts=facts, heads=HEADS.to_frame(), products=PRODUCTS.to_frame()))
    found: dict[bytes, list[bytes]] = {}
    for key in keys:
        found.setdefault(key[:8], []).append(key[8:])
    return found


def build(mode: str) -> faust.App:
    """An app that ends the process once it has measured."""
    app = faust.App(
        os.environ["BENCH_GROUP"],
        broker=f"kafka://{os.environ['KAFKA_BOOTSTRAP_SERVERS']}",
        web_enabled=False,
        topic_disable_leader=True,
        topic_partitions=1,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=16 * 1024 * 1024,
        broker_session_timeout=SESSION_S,  # the process that merged leaves no word, and its successor waits this long
        broker_heartbeat_interval=SESSION_S / 3,
    )
    topic = app.topic(os.environ["BENCH_TOPIC"], value_serializer="raw", value_type=bytes)
    table: Any = app.Table("pairs", partitions=1, use_partitioner=True, key_type=bytes, value_type=bytes)

    @app.agent(topic)
    async def merge(stream: Any) -> None:
        filled, meter = 0, Meter(int(os.environ["BENCH_COUNT"]))
        async for block in stream:
            groups = by_pair(block)
            measured = filled >= int(os.environ["BENCH_FILL"])
            if measured:
                meter.begin()
            for pair, items in groups.items():
                table[pair] = merged(table.get(pair), items)
            await app.producer.flush()
            rows = sum(map(len, groups.values()))
            filled += rows
            if mode == "merge" and measured and meter.add(rows):
                _end(meter.report())

    if mode == "recover":
        _time_recovery(app, table)
    return app


def _time_recovery(app: Any, table: Any) -> None:
    """From the assignment of the partition until the table is as the changelog has it."""
    began_s: list[float] = []

    async def assigned(*_: object, **__: object) -> None:
        began_s.append(time.perf_counter())

    async def recovered(*_: object) -> None:
        if len(table):  # it is also told when no partition was there to recover
            seconds = time.perf_counter() - began_s[-1]
            _end(json.dumps({"count": len(table), "seconds": seconds, "cpu_s": time.process_time()}))

    app.on_partitions_assigned.connect(assigned, weak=False)
    table.on_recover(recovered)


def _end(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
    os._exit(0)  # a graceful stop of Faust takes seconds, and it has been measured


if __name__ == "__main__":
    mode = sys.argv.pop(1)
    sys.argv.append("worker")
    faust.Worker(build(mode), loglevel="WARN", logfile=sys.stderr, redirect_stdouts=False).execute_from_commandline()
