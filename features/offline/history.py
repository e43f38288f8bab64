"""Appends rows to the offline store, many to a file: a fetch is confirmed when the file that holds it is written."""

from __future__ import annotations

import asyncio
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cosmo.runtime.metrics import counter
from features.offline import files
from features.online.store import Ref, Version
from features.views import View

MAX_ROWS = 5_000
"""Rows held before a file is written early; 4 kB each, so 20 MB."""
FILES_BEFORE_COMBINING = 32
"""Small files of one size class before they become one; keeps a directory at a few dozen files however long it runs."""
REMEMBERED = 50_000
"""Rows known to be written, so that a replay does not write them again. Losing count costs a duplicate, no more."""


@dataclass(slots=True)
class History:
    """Group commit into Parquet files.

    Rows written online and lost here by kill -9 come again with the redelivered records: every row that a fetch
    touches is appended, changed or not. What is lost for good are versions that lived for less than ``flush_s``.
    What is acked survives a power cut: each file is synced, and its directory, before its fetches are confirmed.
    """

    root: Path
    flush_s: float
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _pending: list[Version] = field(default_factory=list)
    _flush: asyncio.Task[None] | None = None
    _disk: asyncio.Lock = field(default_factory=asyncio.Lock)
    _hurry: asyncio.Event = field(default_factory=asyncio.Event)
    _written: OrderedDict[Ref, datetime] = field(default_factory=OrderedDict)
    _files: dict[View, list[list[Path]]] = field(default_factory=dict)
    _writer: str = field(default_factory=lambda: uuid.uuid4().hex[:8])

    async def append(self, versions: Sequence[Version]) -> Awaitable[None]:
        """Take rows on; returns when there is room, and what it returns finishes when they are on disk.

        The latter raises CosmoError when they cannot be written.
        """
        while len(self._pending) >= MAX_ROWS and self._flush is not None:
            self._hurry.set()
            await asyncio.shield(self._flush)
        self._pending += [version for version in versions if self._written.get(version.ref) != version.event_timestamp]
        if not self._pending:
            return asyncio.sleep(0)
        if self._flush is None:
            self._flush = asyncio.create_task(self._flush_later())
        return asyncio.shield(self._flush)

    async def close(self) -> None:
        """Write what is held, now, and from now on everything at once: the end is near."""
        self.flush_s = 0.0
        if self._flush is not None:
            self._hurry.set()
            await asyncio.shield(self._flush)

    async def _flush_later(self) -> None:
        pause = asyncio.ensure_future(self.sleep(self.flush_s))
        hurry = asyncio.ensure_future(self._hurry.wait())
        await asyncio.wait({pause, hurry}, return_when=asyncio.FIRST_COMPLETED)
        for waiter in (pause, hurry):
            waiter.cancel()
        self._hurry.clear()
        versions, self._pending, self._flush = self._pending, [], None
        async with self._disk:
            await asyncio.to_thread(self._write, versions)
        self._remember(versions)

    def _write(self, versions: Sequence[Version]) -> None:
        for view in {version.ref.view for version in versions}:
            rows = [(one.ref.key, one.event_timestamp, one.row) for one in versions if one.ref.view == view]
            path = files.write(self.root, view, files.table(view, rows), writer=self._writer)
            counter("cosmo_offline_rows_total").labels(view.name).inc(len(rows))
            self._combine(view, path)

    def _combine(self, view: View, path: Path, size_class: int = 0) -> None:
        """Like the digits of a counter: 32 files of a class become one of the next."""
        classes = self._files.setdefault(view, [])
        if size_class == len(classes):
            classes.append([])
        classes[size_class].append(path)
        if len(classes[size_class]) == FILES_BEFORE_COMBINING:
            full, classes[size_class] = classes[size_class], []
            self._combine(view, files.combine(self.root, view, full, writer=self._writer), size_class + 1)

    def _remember(self, versions: Sequence[Version]) -> None:
        for version in versions:
            self._written[version.ref] = version.event_timestamp
            self._written.move_to_end(version.ref)
        while len(self._written) > REMEMBERED:
            self._written.popitem(last=False)
