"""What a compacted log means, whether or not it has been compacted yet: of each key the last record counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import xxhash

from features.knowledge.log import Record


@dataclass(slots=True)
class Latest:
    """Which record of each key is the last. 100 bytes a key: keys are kept as 64-bit hashes."""

    _last: dict[int, int] = field(default_factory=dict)
    """Hash of the key → offset of its last record; negative (minus one, minus the offset) if that is a tombstone."""

    def add(self, records: Iterable[Record]) -> None:
        """Take on records, in the order of the log. All records of a key lie in one partition."""
        for record in records:
            self._last[_hash(record.key)] = record.offset if record.value is not None else -1 - record.offset

    def counts(self, record: Record) -> bool:
        """Whether this record is the last of its key, and no tombstone."""
        return self._last.get(_hash(record.key)) == record.offset

    def retracted(self, record: Record) -> bool:
        """Whether a tombstone is the last of this record's key."""
        return self._last.get(_hash(record.key), 0) < 0

    def current(self, records: Iterable[Record]) -> Iterator[Record]:
        """The records that count."""
        return (record for record in records if self.counts(record))


def _hash(key: bytes) -> int:
    return xxhash.xxh3_64_intdigest(key)
