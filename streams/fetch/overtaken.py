"""Tells of records that were deleted before their group had read them: retention, or a person, was faster than it.

A broker refuses the offset then, and the consumer begins anew where the log begins. What lay between is gone, and
nothing else would ever say so.
"""

from __future__ import annotations

from cosmo.runtime import logs
from cosmo.runtime.metrics import counter

log = logs.get(__name__)

Partition = tuple[str, int]


class Overtaken:
    """Offsets that a broker has refused, until it answers for another of the same partition."""

    def __init__(self) -> None:
        self._refused: dict[Partition, int] = {}
        self._told: dict[Partition, int] = {}
        """Up to where. A seek to an offset that is committed and gone asks for it again, at each rebalance until the
        group has read on."""

    def refused(self, key: Partition, offset: int) -> None:
        """The partition has no such offset any more, or not yet. Deletion may go on, so that where the log began when
        the consumer asked is refused as well: it counts from the first."""
        self._refused[key] = min(offset, self._refused.get(key, offset))

    def answered(self, key: Partition, offset: int) -> None:
        """The partition is read from here."""
        if key not in self._refused:
            return
        topic, partition = key
        expected = self._refused.pop(key)
        first = max(expected, self._told.get(key, 0))
        self._told[key] = offset
        if offset > first:
            counter("cosmo_deleted_unread_total").labels(topic, partition).inc(offset - first)
            log.error(
                "records were deleted before they were read",
                topic=topic,
                partition=partition,
                first_offset=first,
                next_offset=offset,
                records=offset - first,
            )
        elif offset < expected:
            log.warning(
                "the log ends before what was read of it; was the topic made anew?",
                topic=topic,
                partition=partition,
                expected_offset=expected,
                next_offset=offset,
            )

    def forget(self, key: Partition) -> None:
        """The partition is another's, who will see for himself."""
        self._refused.pop(key, None)
