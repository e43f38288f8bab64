"""Records that were deleted unread are counted once, and nothing else is."""

from __future__ import annotations

import pytest

from cosmo.runtime.metrics import counter
from streams.fetch.overtaken import Overtaken


@pytest.mark.parametrize(
    ("steps", "lost"),
    [
        ([("answered", 0), ("answered", 50)], 0),
        ([("refused", 10), ("answered", 60), ("answered", 80)], 50),
        ([("refused", 10), ("refused", 10), ("answered", 60)], 50),
        ([("refused", 10), ("refused", 40), ("answered", 60)], 50),
        ([("refused", 100), ("answered", 0)], 0),
        ([("refused", 10), ("forget", 0), ("answered", 900)], 0),
        ([("refused", 10), ("answered", 60), ("refused", 10), ("answered", 60)], 50),
        ([("refused", 10), ("answered", 60), ("forget", 0), ("refused", 10), ("answered", 70)], 60),
        ([("refused", 10), ("answered", 60), ("refused", 60), ("answered", 0), ("refused", 5), ("answered", 9)], 54),
    ],
    ids=[
        *("a hole", "deleted", "asked twice", "deleted twice", "made anew", "another's meanwhile"),
        *("sought back", "sought back in a rebalance", "made anew and deleted"),
    ],
)
def test_only_what_lies_between_a_refused_offset_and_the_next_counts(steps: list[tuple[str, int]], lost: int) -> None:
    overtaken = Overtaken()
    counted = counter("cosmo_deleted_unread_total").labels("t", 0)._value
    before = counted.get()
    for step, offset in steps:
        match step:
            case "refused":
                overtaken.refused(("t", 0), offset)
            case "answered":
                overtaken.answered(("t", 0), offset)
            case _:
                overtaken.forget(("t", 0))
    assert counted.get() - before == lost
