"""Runs every bench program and writes docs/benchmarks.md from their output.

    python -m bench.report [NAME…]

A program is a module of this package with a `main`. Its last JSON line of kind "section" becomes a part of the page;
its progress is on standard error.
"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.harness import Goal, Section, markdown

PROGRAMS = ("ingest", "state", "event_to_feature", "micro_batch", "lookup")
PAGE = Path("docs/benchmarks.md")
HEAD = """# Benchmarks

Written by `make bench` on {date}, from the output of the programs in `bench/`; do not edit it. Absolute figures belong
to the machine that ran them ({cores} cores, shared with the broker); ratios come from one run, on the same topics and
events.
"""


def main() -> None:
    """Run the programs named, or all; a program that fails stops everything, and the page stays as it was."""
    names = sys.argv[1:] or [name for name in PROGRAMS if find_spec(f"bench.{name}")]
    sections = [run(name) for name in names]
    PAGE.write_text("\n".join([_head(), *map(markdown, sections)]), encoding="utf-8")


def run(name: str) -> Section:
    """One program's section."""
    sys.stderr.write(f"bench.{name} …\n")
    done = subprocess.run([sys.executable, "-m", f"bench.{name}"], stdout=subprocess.PIPE, check=True, text=True)
    documents = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return section([document for document in documents if document.get("kind") == "section"][-1])


def section(document: dict[str, Any]) -> Section:
    """A `Section` from its JSON line."""
    goals = [Goal(**goal) for goal in document["goals"]]
    return Section(**{name: value for name, value in document.items() if name not in {"kind", "goals"}}, goals=goals)


def _head() -> str:
    import psutil

    return HEAD.format(date=datetime.now(UTC).date().isoformat(), cores=psutil.cpu_count())


if __name__ == "__main__":
    main()
