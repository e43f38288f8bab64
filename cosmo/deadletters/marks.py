"""Which dead letters have been replayed: marks in the compacted topic ``dlq-replays``, keyed by the letter's place.

A mark is written after the broker has confirmed the replayed record. A replay that is killed in between replays that
batch again the next time: nothing is lost, and an event that arrives twice counts once. A mark holds the instant at
which its letter died, too: when the topic is made anew, other letters come to lie in the same places.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from confluent_kafka import Message

from cosmo.deadletters.letter import Letter
from cosmo.deadletters.topics import bounds
from cosmo.runtime.errors import CosmoError
from cosmo.runtime.logs import at
from cosmo.runtime.settings import Settings
from streams.kafka.reading import messages_to_end
from streams.topics import REPLAYS

_KEY = re.compile(rb"(?P<topic>.+)\[(?P<partition>[0-9]+)\]@(?P<offset>[0-9]+)")

Place = tuple[int, int]
"""(partition, offset)"""


@dataclass(slots=True)
class Marks:
    """The marks of the letters of one dead-letter topic."""

    topic: str
    places: dict[Place, int | None] = field(default_factory=dict)
    """When the letter of each died, in milliseconds; None where the mark does not say."""

    def replayed(self, letter: Letter) -> bool:
        died_ms = self.places.get((letter.partition, letter.offset), -1)
        return died_ms is None or died_ms == letter.timestamp_ms

    def expired(self, held: Mapping[int, tuple[int, int]]) -> list[bytes]:
        """Keys of marks whose letters the topic does not hold; ``held``: the first offset kept and the end, by
        partition."""

        def gone(place: Place) -> bool:
            start, end = held.get(place[0], (0, 0))
            return not start <= place[1] < end

        return [key(self.topic, *place) for place in filter(gone, self.places)]

    def take(self, message: Message) -> None:
        """Take in one record of ``dlq-replays``; what is no mark of this topic's letters is left alone."""
        raw = message.key()
        found = _KEY.fullmatch(raw if isinstance(raw, bytes) else b"")
        if found is None or found["topic"] != self.topic.encode():
            return
        place, value = (int(found["partition"]), int(found["offset"])), message.value()
        if value is None:
            self.places.pop(place, None)
        else:
            self.places[place] = _died_ms(value)


def key(topic: str, partition: int, offset: int) -> bytes:
    return at(topic, partition, offset).encode()


def value(letter: Letter, now: datetime) -> bytes:
    """What a mark says to who looks at the topic by hand."""
    said = {"replayed_at": now.isoformat(), "came_from": letter.came_from, "reason": letter.reason}
    return json.dumps(said | {"died_ms": letter.timestamp_ms}).encode()


def _died_ms(value: str | bytes) -> int | None:
    try:
        died_ms = json.loads(value)["died_ms"]
    except (ValueError, KeyError, TypeError):
        return None
    return died_ms if type(died_ms) is int else None


def load(settings: Settings, dlq: str, *, needed: bool = False) -> Marks:
    """The marks of one dead-letter topic (its full name).

    Where the topic of marks does not exist there are none; with ``needed`` that is a CosmoError, because what cannot
    be remembered would be replayed twice.
    """
    name, marks = settings.topic_prefix + REPLAYS.name, Marks(dlq)
    held = bounds(settings, [name])
    if name not in held and needed:
        raise CosmoError(
            f"Topic {name} does not exist, so it could not be remembered what was replayed.",
            advice="`cosmo topics create` creates it; by hand, declare it with cleanup.policy=compact.",
        )
    for partition, (start, end) in held.get(name, {}).items():
        if end > start:
            for message in messages_to_end(settings, name, partition):
                marks.take(message)
    return marks
