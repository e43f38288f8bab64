"""What an input seems to be of which no line could be used, and what to do about it: one sentence for each.

Judged by its first line alone. The reasons of its lines are true and of no help when the whole file is something else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from shlex import quote
from typing import Any

from cosmo.produce.formats import Format
from cosmo.produce.lines import STDIN, Line
from cosmo.produce.sources import Sources
from cosmo.produce.ubi.bulk import INSERTS, OTHERS
from cosmo.produce.ubi.documents import ACTION, ATTRIBUTES, USER_QUERY
from streams import topics

MARKS: Mapping[bytes, tuple[str, str]] = {
    b"\xff\xfe": ("UTF-16", "iconv -f UTF-16 -t UTF-8"),
    b"\xfe\xff": ("UTF-16", "iconv -f UTF-16 -t UTF-8"),
    b"\x28\xb5\x2f\xfd": ("packed by zstd", "zstdcat"),
    b"BZh": ("packed by bzip2", "bzcat"),
    b"\xfd7zXZ": ("packed by xz", "xzcat"),
    b"PK\x03\x04": ("a zip archive", "unzip -p"),
}
"""By its first bytes: what it is, and the command that makes lines of it."""
BINARY: Mapping[bytes, str] = {b"PAR1": "Parquet", b"Obj\x01": "Avro", b"SQLite format 3": "an SQLite database"}
OBJECTS = "write it out as one JSON object a line"

_OPENS = re.compile(rb"\s*\{(?:\s*\"[^\"]*\"\s*:.*)?\s*$", re.DOTALL)
_SEPARATORS = (b",", b";", b"\t")


def hints(sources: Sources, *, topic: str, form: Format) -> tuple[str, ...]:
    """A sentence for each input of which nothing was used, but for those that are what they were taken for."""
    found = (_hint(name, first, topic, form) for name, first in sources.unused())
    return tuple(hint for hint in found if hint is not None)


def empty(names: Iterable[str], read_from: Collection[str]) -> list[str]:
    """A sentence for each of the inputs that gave no line at all."""
    return [f"{_called(name)} is empty." for name in dict.fromkeys(names) if name not in read_from]


def _hint(name: str, first: Line | None, topic: str, form: Format) -> str | None:
    if first is None:
        return f"{_called(name)} has only blank lines."
    file = "FILE" if name == STDIN else quote(name)
    kind = _kind(first)
    if kind is not None:
        return None if (kind.topic, kind.form) == (topic, form) else _seems(name, kind.what, kind.instead(file))
    found = _by_bytes(first.raw, file) or _by_text(first.raw, file)
    if found is not None:
        return _seems(name, *found)
    return f"No line of {_called(name)} could be used; docs/producers.md shows what the lines of {topic} are."


def _called(name: str) -> str:
    return "Standard input" if name == STDIN else name


def _seems(name: str, what: str, instead: str) -> str:
    return f"{_called(name)} seems to be {what}; {instead}."


def _piped(command: str) -> str:
    return f"give the output of `{command}` to `cosmo produce … -`"


def _by_bytes(raw: bytes, file: str) -> tuple[str, str] | None:
    """(what it is, what to do) of what is no UTF-8 text."""
    for mark, (what, command) in MARKS.items():
        if raw.startswith(mark):
            return what, _piped(f"{command} {file}")
    for mark, what in BINARY.items():
        if raw.startswith(mark):
            return what, OBJECTS
    if b"\x00" in raw[:2] and raw[:2] != b"\x00\x00":  # without the mark that should begin it
        return "UTF-16", _piped(f"iconv -f UTF-16{'BE' if raw[:1] == bytes(1) else 'LE'} -t UTF-8 {file}")
    return None


def _by_text(raw: bytes, file: str) -> tuple[str, str] | None:
    """(what it is, what to do) of text that is not one JSON object a line."""
    start = raw.lstrip()[:1]
    if start == b"[":
        return "one JSON array", _piped(f"jq -c '.[]' {file}")
    if _OPENS.match(raw) and not raw.rstrip().endswith(b"}"):
        return "JSON with objects over several lines", _piped(f"jq -c . {file}")
    if start == b"<":
        return "XML or HTML", OBJECTS
    if start != b"{" and any(separator in raw for separator in _SEPARATORS):
        return "a table (CSV)", f"{OBJECTS}, with the fields of docs/producers.md"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """JSON lines that we know, by the names of their fields."""

    what: str
    topic: str
    form: Format
    names: frozenset[str]

    def instead(self, file: str) -> str:
        option = "" if self.form is Format.NATIVE else f" --format {self.form}"
        return f"send it with `cosmo produce {self.topic} {file}{option}`"


SEARCHES, ORDERS = topics.QUERY_PURCHASE.name, topics.CO_PURCHASE.name
UBI_NAMES = frozenset((*ACTION, *USER_QUERY, *ATTRIBUTES))
KINDS = (
    Kind(what="UBI", topic=SEARCHES, form=Format.UBI, names=UBI_NAMES),
    Kind(what="orders", topic=ORDERS, form=Format.NATIVE, names=frozenset({"items", "order_id"})),
    Kind(what="events of searches", topic=SEARCHES, form=Format.NATIVE, names=frozenset({"action", "event_time"})),
)
"""The surest first."""
BULK = Kind(what="OpenSearch's bulk form of UBI", topic=SEARCHES, form=Format.OPENSEARCH_UBI, names=frozenset())


def _kind(first: Line) -> Kind | None:
    fields = _fields(first)
    if "_source" in fields or (len(fields) == 1 and fields.keys() <= INSERTS | OTHERS):
        return BULK
    return next((kind for kind in KINDS if kind.names & fields.keys()), None)


def _fields(first: Line) -> dict[str, Any]:
    """The fields of the object on the line, or in its envelope; none where it holds no object."""
    try:
        found = json.loads(first.raw.decode("utf-8"))
    except (ValueError, RecursionError):
        return {}
    data = found.get("data") if isinstance(found, dict) and "specversion" in found else found
    return data if isinstance(data, dict) else {}
