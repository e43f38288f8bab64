"""Dead letters counted by topic and reason: what an engineer on call wants to see first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cosmo.deadletters.letter import Letter


@dataclass(slots=True, kw_only=True)
class Count:
    """The letters of one topic that died of one reason. ``example`` is the newest of them."""

    topic: str
    reason: str
    letters: int = 0
    replayed: int = 0
    oldest: datetime
    newest: datetime
    example: str
    detail: str

    def add(self, letter: Letter, *, replayed: bool) -> None:
        self.letters += 1
        self.replayed += replayed
        self.oldest = min(self.oldest, letter.died_at)
        if letter.died_at >= self.newest:
            self.newest, self.example, self.detail = letter.died_at, letter.where, letter.detail

    def document(self) -> dict[str, Any]:
        return {
            "topic": self.topic,
            "reason": self.reason or None,
            "letters": self.letters,
            "replayed": self.replayed,
            "oldest": self.oldest.isoformat(),
            "newest": self.newest.isoformat(),
            "example": self.example,
            "detail": self.detail,
        }


def count(letters: Iterable[tuple[Letter, bool]]) -> list[Count]:
    """By topic in order of appearance, the most frequent reason first; the flag says whether it was replayed."""
    found: dict[tuple[str, str], Count] = {}
    for letter, replayed in letters:
        one = found.setdefault((letter.source, letter.reason), _empty(letter))
        one.add(letter, replayed=replayed)
    order = {topic: number for number, topic in enumerate(dict.fromkeys(topic for topic, _ in found))}
    return sorted(found.values(), key=lambda one: (order[one.topic], -one.letters, one.reason))


def _empty(letter: Letter) -> Count:
    return Count(
        topic=letter.source,
        reason=letter.reason,
        oldest=letter.died_at,
        newest=letter.died_at,
        example=letter.where,
        detail=letter.detail,
    )
