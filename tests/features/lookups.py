"""A store in memory that a writer has filled, and a reader on it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from features import project
from features.entities import view_of
from features.lookup.reader import Reader
from features.merge import Change
from features.online.store import Ref
from features.online.writer import Writer
from inference.entities import entities_of
from schemas.records import Intent
from tests.features.examples import NOW, TOP_3, WEEK_S
from tests.features.memory_store import MemoryStore


async def filled(*intents: Intent) -> MemoryStore:
    """The features of every entity of these intents, applied."""
    store = MemoryStore(mark=project.fingerprint())
    for intent in intents:
        for kind, key in entities_of(intent):
            change = {Ref(view_of(kind, intent), key): [Change(intent=intent)]}
            await Writer(store, TOP_3, now=lambda: NOW).apply(change)
    return store


def reader(store: MemoryStore, *, now: Callable[[], datetime] = lambda: NOW) -> Reader:
    return Reader(store, stale_after_s=WEEK_S, now=now)
