"""A bare confluent-kafka loop with fastavro: decode and count, nothing else."""

from __future__ import annotations

import io
import json
import os
import sys
from typing import Any

import fastavro
from confluent_kafka import Consumer

from bench.peers.meter import Meter

FRAME_BYTES = 5
"""Magic byte and schema id."""


def main() -> None:
    """Consume ``BENCH_TOPIC`` from its beginning until ``BENCH_COUNT`` records are counted."""
    meter = Meter(int(os.environ["BENCH_COUNT"]))
    schema: Any = fastavro.parse_schema(json.loads(os.environ["BENCH_SCHEMA"]))
    consumer = Consumer(
        {
            "bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"],
            "group.id": os.environ["BENCH_GROUP"],
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([os.environ["BENCH_TOPIC"]])
    counts: dict[str, int] = {}
    while True:
        messages = consumer.consume(1000, 1.0)
        if messages:
            meter.begin()
        for message in messages:
            value: Any = message.value()
            datum: Any = fastavro.schemaless_reader(io.BytesIO(value[FRAME_BYTES:]), schema, None)
            counts[datum["action"]] = counts.get(datum["action"], 0) + 1
        if meter.add(len(messages)):
            break
    sys.stdout.write(meter.report() + "\n")
    sys.stdout.flush()
    consumer.close()


if __name__ == "__main__":
    main()
