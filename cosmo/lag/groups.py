"""Which groups there should be, and which topics of a group count."""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase

from streams import topics


def our_groups(prefix: str) -> dict[str, tuple[str, ...]]:
    """Each worker's group and the topics it reads, by full name. Known before any of them has ever run, as is
    that it begins at the beginning of a partition on which it has committed nothing."""
    return {
        topics.group(process, prefix): tuple(f"{prefix}{topic.name}" for topic in read)
        for process, read in topics.CONSUMED.items()
    }


def counted_topics(
    *, expected: Collection[str], assigned: Collection[str], committed: Collection[str]
) -> tuple[str, ...]:
    """The topics that a group's lag is about, sorted.

    What the group should read, and what its living members read. An old commit on another topic counts only when there
    are neither: a group that has left a topic is not behind on it; one that has died is behind on all it read.
    """
    read_now = {*expected, *assigned}
    return tuple(sorted(read_now or set(committed)))


def matching(wanted: Collection[str], known: Collection[str]) -> list[str]:
    """The ``known`` names that match a ``wanted`` pattern (``*``, ``?``); a pattern without a match stays as it is."""
    found: dict[str, None] = {}
    for pattern in wanted:
        matches = [name for name in sorted(known) if fnmatchcase(name, pattern)]
        found.update(dict.fromkeys(matches or [pattern]))
    return list(found)
