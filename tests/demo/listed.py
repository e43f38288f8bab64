"""What brokers list."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace


def listed(partitions: Mapping[str, int]) -> SimpleNamespace:
    """The topics, each with so many partitions."""
    topics = {name: SimpleNamespace(error=None, partitions=range(count)) for name, count in partitions.items()}
    return SimpleNamespace(topics=topics)
