"""The sampler's state beside the stores that could hold it: rows merged, bytes a pair, time to recover.

    python -m bench.state [--pairs 100000 1000000 10000000] [--blocks 50] [--no-peers]

Every candidate runs in a process of its own and merges the same skewed stream into so many pairs. RocksDB is measured
where rocksdict is installed, as `make bench` does; nothing else here needs it. Ten million pairs take some minutes and
gigabytes: leave them out on a small machine.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

from confluent_kafka.cimpl import NewTopic

from bench.harness import Goal, Section, emit, fill, finish, stack
from bench.peers.state_stream import BLOCK, every_pair, skewed
from cosmo.runtime.settings import Settings
from cosmo.stack.parts import Name
from streams.blocks import to_ipc
from streams.kafka.clients import admin

CHILD_S = 170.0
CHILD_S_PER_PAIR = 100e-6
"""No process measures itself for longer; one that does hangs, or asks for more pairs than this machine can hold."""
PEER_PAIRS = 100_000
"""The peers hold this many pairs: enough to see their rates, which fall rather than rise with more."""
PEER_BLOCKS = 10
OURS, FAUST, REDIS, ROCKS = "Cosmo", "Faust table, changelog", "Valkey sets", "RocksDB (rocksdict)"


def main() -> None:
    """Measure, print JSON lines, and end with the section."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--pairs", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    arguments.add_argument("--blocks", type=int, default=50)
    arguments.add_argument("--no-peers", dest="peers", action="store_false", help="measure our own state alone")
    chosen = arguments.parse_args()
    with stack(Name.KAFKA, Name.REGISTRY, Name.VALKEY) as (running, settings):
        env = {
            "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
            "REDIS_URL": running.redis_url,
            "COSMO_TOPIC_PREFIX": settings.topic_prefix,
            "POLARS_MAX_THREADS": "1",
            "PYTHONWARNINGS": "ignore",
        }
        ours = [
            child(OURS, "state_ours", env, pairs, chosen.blocks, partition, seconds=CHILD_S + pairs * CHILD_S_PER_PAIR)
            for partition, pairs in enumerate(chosen.pairs)
        ]
        peers = peers_of(settings, env) if chosen.peers else {}
    finish(section(ours, peers))


def peers_of(settings: Settings, env: dict[str, str]) -> dict[str, dict[str, Any]]:
    """What each of the others measured of itself."""
    found = {REDIS: child(REDIS, "state_redis", env, PEER_PAIRS, PEER_BLOCKS)}
    if find_spec("rocksdict"):
        found[ROCKS] = child(ROCKS, "state_rocks", env, PEER_PAIRS, PEER_BLOCKS)
    else:
        sys.stderr.write("RocksDB is left out: rocksdict is not installed; `make bench` installs it.\n")
    return found | {FAUST: faust(settings, env)}


def child(name: str, module: str, env: dict[str, str], *arguments: object, seconds: float = CHILD_S) -> dict[str, Any]:
    """What a process measured of itself, within so many seconds."""
    done = subprocess.run(
        [sys.executable, "-m", f"bench.peers.{module}", *map(str, arguments)],
        env=os.environ | env, stdout=subprocess.PIPE, timeout=seconds, check=True, text=True,
    )  # fmt: skip
    last = [line[line.index("{") :] for line in done.stdout.splitlines() if "{" in line][-1]  # Faust draws a spinner
    found: dict[str, Any] = json.loads(last)
    emit("run", {"name": name} | found)
    return found


def faust(settings: Settings, env: dict[str, str]) -> dict[str, Any]:
    """Merge what the topic holds, then recover from the changelog."""
    topic = f"{settings.topic_prefix}state-bench"
    client = admin(settings)  # held: its futures fail when it is collected
    client.create_topics([NewTopic(topic, 1, 1)])[topic].result(30.0)
    blocks = [*every_pair(PEER_PAIRS, BLOCK), *skewed(PEER_PAIRS, PEER_BLOCKS)]
    fill(settings, topic, ((None, to_ipc(tables.facts)) for tables in blocks))
    env = env | {
        "BENCH_GROUP": f"bench-{secrets.token_hex(4)}",
        "BENCH_TOPIC": topic,
        "BENCH_FILL": str(PEER_PAIRS),
        "BENCH_COUNT": str(PEER_BLOCKS * BLOCK),
    }
    merged = child(FAUST, "state_faust", env, "merge")
    recovered = child(FAUST, "state_faust", env, "recover")
    if recovered["count"] != PEER_PAIRS:
        raise RuntimeError(f"Faust recovered {recovered['count']} of {PEER_PAIRS} pairs")
    return {"rows_per_s": merged["count"] / merged["seconds"], "recover_s": recovered["seconds"]}


def section(ours: list[dict[str, Any]], peers: dict[str, dict[str, Any]]) -> Section:
    """What was measured; ratios are ours at the peers' number of pairs to theirs."""
    small, large = ours[0], ours[-1]
    return Section(
        title="The sampler's state",
        command="python -m bench.state",
        text=(
            f"Blocks of {BLOCK:,} facts, half of them on few hot pairs, merged into a state of so many pairs; ours has "
            "every summary up to date after each block, the others only hold the facts (RocksDB with a count for each "
            "pair, Faust with a write to its changelog for each pair of a block). Bytes are those of facts and "
            "summaries in memory; in the log, those of all segments, texts of queries and products included; of "
            "Valkey's memory and RocksDB's files for the peers. Recovery is from Kafka until all summaries can be "
            "read, for Faust until its table is full again; RocksDB's is a scan of a local disk, which is lost with "
            "its machine. One thread each; the ratio is ours to theirs."
        ),
        columns=("state", "pairs", "rows/s", "ratio", "bytes/pair", "log bytes/pair", "recovery s", "read 1,000 heads"),
        rows=[*map(_ours, ours), *(_peer(name, peer, small) for name, peer in peers.items())],
        goals=[_flat(small, large)],
    )


def _ours(run: dict[str, Any]) -> list[str]:
    pairs = run["pairs"]
    return [
        OURS,
        f"{pairs:,}",
        f"{run['rows_per_s']:,.0f}",
        "1",
        f"{run['count_bytes'] / pairs:.0f}",
        f"{run['log_bytes'] / pairs:.0f}",
        f"{run['recover_s']:.2f}",
        f"{run['hot_head_s'] * 1000:.1f} ms",
    ]


def _peer(name: str, run: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    size = f"{run['bytes'] / PEER_PAIRS:.0f}" if "bytes" in run else "–"
    seconds = run.get("recover_s", run.get("scan_s"))
    recovery = "–" if seconds is None else f"{seconds:.2f}"
    ratio = ours["rows_per_s"] / run["rows_per_s"]
    return [name, f"{PEER_PAIRS:,}", f"{run['rows_per_s']:,.0f}", f"{ratio:.1f}", size, "–", recovery, "–"]


def _flat(small: dict[str, Any], large: dict[str, Any]) -> Goal:
    """Cost of a row may grow with the logarithm of the state, not with the state."""
    growth = small["rows_per_s"] / large["rows_per_s"]
    factor = large["pairs"] / small["pairs"]
    return Goal(
        goal=f"a row costs at most twice as much with {factor:g} times the pairs",
        measured=f"{growth:.2f}×",
        holds=growth <= 2.0,
    )


if __name__ == "__main__":
    main()
