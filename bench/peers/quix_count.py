"""Quix Streams: decode and count, nothing else. Runs in an environment of its own (bench/requirements-quix.txt)."""

from __future__ import annotations

import io
import json
import os
import sys
from typing import Any

import fastavro
from quixstreams import Application

from bench.peers.meter import Meter

FRAME_BYTES = 5


def main() -> None:
    """Consume ``BENCH_TOPIC`` from its beginning until ``BENCH_COUNT`` records are counted."""
    meter = Meter(int(os.environ["BENCH_COUNT"]))
    schema: Any = fastavro.parse_schema(json.loads(os.environ["BENCH_SCHEMA"]))
    app = Application(
        broker_address=os.environ["KAFKA_BOOTSTRAP_SERVERS"],
        consumer_group=os.environ["BENCH_GROUP"],
        auto_offset_reset="earliest",
        auto_create_topics=False,
        loglevel="WARNING",
    )
    counts: dict[str, int] = {}

    def count(value: bytes) -> None:
        meter.begin()
        datum: Any = fastavro.schemaless_reader(io.BytesIO(value[FRAME_BYTES:]), schema, None)
        counts[datum["action"]] = counts.get(datum["action"], 0) + 1
        if meter.add(1):
            sys.stdout.write(meter.report() + "\n")
            sys.stdout.flush()
            os._exit(0)

    topic = app.topic(os.environ["BENCH_TOPIC"], value_deserializer="bytes", key_deserializer="bytes")
    app.dataframe(topic).update(count)
    app.run()


if __name__ == "__main__":
    main()
