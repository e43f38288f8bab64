"""Runs bench programs and writes docs/benchmarks.md from their output.

    python -m bench.report [NAME | NAME=OUTPUT]…

A program is a module of this package with a `main`. Its last JSON line of kind "section" becomes a part of the page;
its progress is on standard error. With names, only their parts are written anew and the others stay as they are; with
a file, the part is made of what the program printed when it was run by itself.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from bench.harness import Goal, Section, markdown

PROGRAMS = ("ingest", "ingest_stages", "state", "event_to_feature", "micro_batch", "lookup", "memory")
PAGE = Path("docs/benchmarks.md")
HEAD = """# Benchmarks

Written by `make bench` from the output of the programs in `bench/`; do not edit it. Absolute figures belong to the
machine that ran them; ratios come from one run, on the same topics and events.
"""
_PART = re.compile(r"<!-- bench\.(\w+) -->\n(.*?)(?=<!-- bench\.|\Z)", re.DOTALL)


def main() -> None:
    """Run the programs named, or all. One that fails stops everything, and its part stays as it was."""
    for argument in sys.argv[1:] or [name for name in PROGRAMS if find_spec(f"bench.{name}")]:
        name, _, output = argument.partition("=")
        page = PAGE.read_text("utf-8") if PAGE.exists() else ""
        printed = Path(output).read_text("utf-8") if output else run(name)
        PAGE.write_text(with_part(page, name, part(last_section(printed))), "utf-8")


def run(name: str) -> str:
    """What the program prints."""
    sys.stderr.write(f"bench.{name} …\n")
    done = subprocess.run([sys.executable, "-m", f"bench.{name}"], stdout=subprocess.PIPE, check=True, text=True)
    return done.stdout


def last_section(printed: str) -> Section:
    """The section in a program's output."""
    documents = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    return section([document for document in documents if document.get("kind") == "section"][-1])


def section(document: dict[str, Any]) -> Section:
    """A `Section` from its JSON line."""
    goals = [Goal(**goal) for goal in document["goals"]]
    return Section(**{name: value for name, value in document.items() if name not in {"kind", "goals"}}, goals=goals)


def part(found: Section) -> str:
    """A section with its date and the size of the machine."""
    measured = f"Measured on {datetime.now(UTC).date().isoformat()}, {psutil.cpu_count()} cores, broker included."
    return f"{markdown(found)}\n{measured}\n"


def with_part(page: str, name: str, text: str) -> str:
    """The page with one program's part replaced, or added in its place."""
    parts = {**dict(_PART.findall(page)), name: text}
    order = [known for known in PROGRAMS if known in parts]
    return "\n".join([HEAD, *(f"<!-- bench.{known} -->\n{parts[known].strip()}\n" for known in order)])


if __name__ == "__main__":
    main()
