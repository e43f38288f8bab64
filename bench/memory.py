"""How much memory and time ingest and sample take for the demonstration's events, without a broker.

    python -m bench.memory [--baskets 20000] [--events-a-fetch 500]

The real handlers run as their workers do, each in a process of its own; in the place of the broker are files and a
producer that confirms at once. Sample takes the fetches as fast as it lets them in, and then comes to rest.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.harness import Goal, Section, emit, finish

STAGES = ("events", "ingest", "sample")
CHILD_S = 170.0
GOAL_MB = {"ingest": 400, "sample": 600}


def main() -> None:
    """Measure, print JSON lines, and end with the section."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--baskets", type=int, default=20_000)
    arguments.add_argument("--events-a-fetch", type=int, default=500)
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="cosmo-bench-") as directory:
        found = {name: stage(name, Path(directory), chosen.baskets, chosen.events_a_fetch) for name in STAGES}
    finish(section(found, chosen.baskets))


def stage(name: str, directory: Path, *figures: int) -> dict[str, Any]:
    """Run one stage over the files that the one before it left, and return what it measured of itself."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.peers.memory_stages", name, str(directory), *map(str, figures)],
        env=os.environ | {"PYTHONWARNINGS": "ignore"}, stdout=subprocess.PIPE, timeout=CHILD_S, check=True, text=True,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    emit("run", {"name": name} | found)
    return found


def section(found: dict[str, dict[str, Any]], baskets: int) -> Section:
    """What was measured."""
    workers = {name: run for name, run in found.items() if name in GOAL_MB}
    return Section(
        title="Memory and time of the demonstration's events",
        command="python -m bench.memory",
        text=(
            f"The events of {baskets:,} baskets ({found['events']['count']:,}) through the handlers of ingest and "
            "sample, each in a process of its own, without a broker. Sample's time is until every head was looked at "
            "with the whole state; its tables are what its state and what it derived hold at the end."
        ),
        columns=("process", "peak RSS", "RSS at the end", "of it tables", "seconds", "CPU seconds"),
        rows=[[name, *_row(run)] for name, run in workers.items()],
        goals=[_small(name, run) for name, run in workers.items()],
    )


def _row(run: dict[str, Any]) -> list[str]:
    megabytes = [f"{run[name] / 1e6:,.0f} MB" if run.get(name) else "–" for name in ("peak", "rss", "tables")]
    return [*megabytes, f"{run['seconds']:.1f}", f"{run['cpu_s']:.1f}"]


def _small(name: str, run: dict[str, Any]) -> Goal:
    return Goal(
        goal=f"{name} never above {GOAL_MB[name]} MB",
        measured=f"{run['peak'] / 1e6:,.0f} MB",
        holds=run["peak"] < GOAL_MB[name] * 1e6,
    )


if __name__ == "__main__":
    main()
