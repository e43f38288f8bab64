"""What came of each input, so that one of which nothing could be used is noticed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from cosmo.produce.lines import Line
from cosmo.produce.outcomes import Outcome, Passed, PassedOver, Refusal

OF_NO_USE = frozenset({Passed.BLANK, Passed.ACTION_LINE})
"""Passed over, and no sign that the input is what it was taken for."""


@dataclass(slots=True, kw_only=True)
class Source:
    """One input: its first line that is not blank, None while there is none, and how many lines were of use."""

    first: Line | None = None
    used: int = 0
    refused: int = 0


@dataclass(slots=True)
class Sources:
    """Every input of a run by its name, in the order in which they were read."""

    by_name: dict[str, Source] = field(default_factory=dict)

    def read(self, line: Line) -> None:
        found = self.by_name.get(line.source)
        if found is None:
            found = self.by_name[line.source] = Source()
        if found.first is None and line.raw.strip():
            found.first = line

    def took(self, outcome: Outcome) -> None:
        """A refusal by the broker is none of the input, which was readable."""
        found = self.by_name.get(outcome.line.source)
        if found is None:  # the catalogue
            return
        if isinstance(outcome, Refusal):
            found.refused += 1
        elif not (isinstance(outcome, PassedOver) and outcome.why in OF_NO_USE):
            found.used += 1

    def unused(self) -> Iterator[tuple[str, Line | None]]:
        """Each input of which nothing was of use, with its first line."""
        for name, found in self.by_name.items():
            if not found.used and (found.refused or found.first is None):
                yield name, found.first
