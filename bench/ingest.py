"""Ingest beside its peers: ours does everything, they only decode and count; same topic, same events.

    python -m bench.ingest [--events 1000000] [--repeats 3]

Each consumer runs in a process of its own. Quix Streams pins other versions of our dependencies, so it has an
environment of its own, made by `make bench` (bench/requirements-quix.txt); without it, it is left out.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import secrets
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from confluent_kafka import KafkaException

from bench.events import Shop, searches
from bench.harness import Goal, Run, Section, at_least, child, environment, fill, finish, paired, stack
from cosmo.runtime.settings import Settings
from schemas import avsc
from schemas.registry import Registry
from streams import topics
from streams.kafka.clients import admin

OURS = "Cosmo ingest, everything"
FAUST, QUIX, CONFLUENT = "Faust", "Quix Streams", "confluent-kafka + fastavro"
QUIX_PYTHON = Path(".venv-quix/bin/python")
LESS = {FAUST: 20, QUIX: 4, CONFLUENT: 2}
"""Slow peers get this part of the events: their rate does not depend on how many there are, our patience does."""
GOALS = {FAUST: 20.0, QUIX: 3.0, CONFLUENT: 2.0}
PEERS = {
    FAUST: (sys.executable, "-m", "bench.peers.faust_count", "worker"),
    QUIX: (str(QUIX_PYTHON), "-m", "bench.peers.quix_count"),
    CONFLUENT: (sys.executable, "-m", "bench.peers.confluent_count"),
}


def main() -> None:
    """Measure, print JSON lines, and end with the section."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--events", type=int, default=1_000_000)
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--only", nargs="*", help="candidates to run, by a part of their names")
    chosen = arguments.parse_args()
    with stack() as (running, settings):
        topic = settings.topic_prefix + topics.QUERY_PURCHASE.name
        fill(settings, topic, searches(chosen.events, schema_id(settings)))
        env = environment(running, settings)
        found: dict[str, Callable[[], Run]] = {OURS: partial(ours, settings, env, chosen.events)}
        for name, command in PEERS.items():
            if name != QUIX or QUIX_PYTHON.exists():
                found[name] = partial(peer, settings, env, name, command, chosen.events // LESS[name])
        wanted = {name: run for name, run in found.items() if _named(name, chosen.only)}
        finish(section(paired(wanted, chosen.repeats), chosen.events))


def schema_id(settings: Settings) -> int:
    """Id of the input schema in this stack's registry."""
    registry = Registry(settings)
    try:
        return registry.schema_id(topics.QUERY_PURCHASE.name)
    finally:
        registry.close()


def ours(settings: Settings, env: dict[str, str], events: int) -> Run:
    """Our worker reads the topic from its beginning: what an earlier repeat committed is forgotten."""
    forget(settings, topics.group("ingest", settings.topic_prefix))
    return child(OURS, (sys.executable, "-m", "bench.peers.cosmo_ingest"), env | _env(settings, events))


def forget(settings: Settings, group: str) -> None:
    """Delete a consumer group, if there is one."""
    client = admin(settings)  # held: its futures fail when it is collected
    with contextlib.suppress(KafkaException):
        client.delete_consumer_groups([group])[group].result(30.0)


def peer(settings: Settings, env: dict[str, str], name: str, command: tuple[str, ...], events: int) -> Run:
    """A peer reads the same topic."""
    return child(name, command, env | _env(settings, events))


def _env(settings: Settings, events: int) -> dict[str, str]:
    return {
        "BENCH_TOPIC": settings.topic_prefix + topics.QUERY_PURCHASE.name,
        "BENCH_GROUP": f"bench-{secrets.token_hex(4)}",
        "BENCH_COUNT": str(events),
        "BENCH_SCHEMA": json.dumps(avsc.load(topics.QUERY_PURCHASE.name)),
    }


def section(best: dict[str, Run], events: int) -> Section:
    """What was measured, as ratios of ours to each peer."""
    ours_run = best.get(OURS)
    mean_bytes = sum(len(value) for _, value in searches(1000, 1, Shop())) / 1000
    return Section(
        title="Ingest",
        command="python -m bench.ingest",
        text=(
            f"{events:,} search events (Avro, {mean_bytes:.0f} bytes on average, Zipf queries and products, zstd) in "
            "four partitions on one broker. Ours decodes, checks, masks, normalizes, combines, produces blocks of "
            "facts, waits until they are confirmed, and commits; the others decode and count. One process each, the "
            "best run of several; slow peers read a part of the events. The ratio is ours to theirs."
        ),
        columns=("consumer", "events/s", "ratio", "events/CPU s", "ratio per CPU s", "CPU used"),
        rows=[_row(run, ours_run or run) for run in best.values()],
        goals=_goals(best),
    )


def _row(run: Run, ours_run: Run) -> list[str]:
    return [
        run.name,
        f"{run.per_s:,.0f}",
        f"{ours_run.per_s / run.per_s:.1f}",
        f"{run.per_cpu_s:,.0f}",
        f"{ours_run.per_cpu_s / run.per_cpu_s:.1f}",
        f"{run.cpu_s / run.seconds:.0%}",
    ]


def _goals(best: dict[str, Run]) -> list[Goal]:
    if OURS not in best:
        return []
    return [
        at_least(f"ingest ≥ {bound:g}× {name}, per process", best[OURS].per_s / best[name].per_s, bound)
        for name, bound in GOALS.items()
        if name in best
    ]


def _named(name: str, parts: list[str] | None) -> bool:
    return not parts or any(part.lower() in name.lower() for part in parts)


if __name__ == "__main__":
    main()
