"""Stock Faust, one event at a time: decode and count, nothing else. Settings that cost speed are at their defaults."""

from __future__ import annotations

import io
import json
import os
import sys
from typing import Any

import fastavro
import faust
from faust.serializers.codecs import Codec

from bench.peers.meter import Meter

FRAME_BYTES = 5


class AvroCodec(Codec):
    """Bodies written with one schema."""

    schema: Any = fastavro.parse_schema(json.loads(os.environ.get("BENCH_SCHEMA", '"null"')))

    def _loads(self, s: bytes) -> Any:
        return fastavro.schemaless_reader(io.BytesIO(s[FRAME_BYTES:]), self.schema, None)


def build() -> faust.App:
    """An app whose agent counts ``BENCH_TOPIC``'s actions until there are ``BENCH_COUNT``, then ends the process."""
    meter = Meter(int(os.environ["BENCH_COUNT"]))
    app = faust.App(
        os.environ["BENCH_GROUP"],
        broker=f"kafka://{os.environ['KAFKA_BOOTSTRAP_SERVERS']}",
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        consumer_auto_offset_reset="earliest",
    )
    topic = app.topic(os.environ["BENCH_TOPIC"], value_serializer=AvroCodec(), key_serializer="raw", key_type=bytes)
    counts: dict[str, int] = {}

    @app.agent(topic)
    async def count(stream: Any) -> None:
        async for datum in stream:
            meter.begin()
            counts[datum["action"]] = counts.get(datum["action"], 0) + 1
            if meter.add(1):
                sys.stdout.write(meter.report() + "\n")
                sys.stdout.flush()
                os._exit(0)  # a graceful stop of Faust takes seconds, and it has been measured

    return app


if __name__ == "__main__":
    faust.Worker(build(), loglevel="WARN", logfile=sys.stderr, redirect_stdouts=False).execute_from_commandline()
