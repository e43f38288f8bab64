"""Tells of records that nobody may read yet, because a transaction before them is still open.

Its producer has died or forgotten it; a worker has nothing to do then, and is not to blame.
"""

from __future__ import annotations

from cosmo.runtime import health
from cosmo.runtime.logs import at
from cosmo.runtime.metrics import gauge

Partition = tuple[str, int]

TOLD_AFTER_S = 60.0
"""Brokers abort a transaction by themselves after the time that its producer has asked for: a minute, by default."""


class HeldBack:
    """One worker's partitions that an open transaction keeps from it. Pure but for what it tells of them."""

    def __init__(self) -> None:
        self._since: dict[Partition, tuple[int, float]] = {}

    def look(self, key: Partition, stable: int, end: int, now_s: float) -> None:
        """``stable``: the offset up to which all transactions have ended; ``end``: where the log ends."""
        if stable < 0 or stable >= end:
            self.forget(key)
            return
        gauge("cosmo_held_back_records").labels(*key).set(end - stable)
        known, since = self._since.get(key, (-1, now_s))
        self._since[key] = stable, since if known == stable else now_s
        age_s = now_s - self._since[key][1]
        sentence = f"a transaction at {at(*key, stable)}, open for {age_s:.0f} s, holds back {end - stable} records"
        health.note(_about(key), sentence if age_s >= TOLD_AFTER_S else "")

    def forget(self, key: Partition) -> None:
        """Nothing is held back there, or it is another's."""
        self._since.pop(key, None)
        self.unknown(key)

    def unknown(self, key: Partition) -> None:
        """Nobody tells now, so nothing is claimed. The age of a transaction that turns out to be open still goes on."""
        health.note(_about(key), "")
        gauge("cosmo_held_back_records").remove(*key)


def _about(key: Partition) -> str:
    return f"held back {key[0]}[{key[1]}]"
