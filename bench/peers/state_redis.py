"""The same facts in Redis: a set of sessions for each pair, action and day, merged by the server (SADD, pipelined)."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import redis

from bench.peers.state_stream import BLOCK, every_pair, skewed
from streams.ingest.facts import Tables
from streams.state.keys import pair_keys


def main() -> None:
    """Arguments: pairs, blocks. Prints one JSON document."""
    pairs, blocks = map(int, sys.argv[1:3])
    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    client.flushall()
    empty = used_bytes(client)
    for tables in every_pair(pairs, BLOCK):
        add(client, tables)
    spent = 0.0
    for tables in skewed(pairs, blocks):
        began = time.perf_counter()
        add(client, tables)
        spent += time.perf_counter() - began
    used = used_bytes(client) - empty
    sys.stdout.write(json.dumps({"rows_per_s": blocks * BLOCK / spent, "bytes": used}) + "\n")


def used_bytes(client: redis.Redis) -> int:
    """What the server's data takes in memory."""
    info: Any = client.info("memory")
    return int(info["used_memory"])


def add(client: redis.Redis, tables: Tables) -> None:
    """One pipeline a block; the answers say how many sessions are new, which keeps a count for each pair."""
    facts = tables.facts
    pairs = pair_keys(facts["head"], facts["other"])
    rows = zip(pairs, facts["action"], facts["bucket"], facts["session"], strict=True)
    pipeline = client.pipeline(transaction=False)
    for pair, action, bucket, session in rows:
        pipeline.sadd(b"%d:%d:%d" % (pair, action, bucket), session)
    pipeline.execute()


if __name__ == "__main__":
    main()
