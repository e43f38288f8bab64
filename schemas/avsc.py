"""The Avro files, ``avsc/<topic>/v<N>.avsc``: the contracts themselves.

Every version ever released stays, because records written with it may still lie in a topic.
A schema is plain parsed JSON here; callers must not change what they are given.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, TypeAlias, cast

AvroSchema: TypeAlias = dict[str, Any] | list[Any] | str
"""A schema as JSON: a complex type, a union, or the name of a type."""

_FILE = re.compile(r"v([1-9][0-9]*)\.avsc")


def _folder() -> Traversable:
    return files("schemas") / "avsc"


@cache
def topics() -> tuple[str, ...]:
    """Every topic that has a contract, in alphabetical order."""
    return tuple(sorted(entry.name for entry in _folder().iterdir() if entry.is_dir()))


@cache
def versions(topic_name: str) -> tuple[int, ...]:
    """Versions of a topic's schema, oldest first; KeyError for a topic without a contract."""
    if topic_name not in topics():
        raise KeyError(topic_name)
    names = (_FILE.fullmatch(entry.name) for entry in (_folder() / topic_name).iterdir())
    return tuple(sorted(int(name[1]) for name in names if name))


@cache
def load(topic_name: str, version: int | None = None) -> dict[str, Any]:
    """One version of a topic's schema, the newest by default; KeyError where there is none."""
    known = versions(topic_name)
    chosen = known[-1] if version is None else version
    if chosen not in known:
        raise KeyError(f"{topic_name} v{chosen}")
    text = (_folder() / topic_name / f"v{chosen}.avsc").read_text(encoding="utf-8")
    return cast("dict[str, Any]", json.loads(text))


def text(schema: AvroSchema) -> str:
    """The schema as one line of JSON: the form that is sent to a registry, always the same for the same schema."""
    return json.dumps(schema, separators=(",", ":"), ensure_ascii=False)
