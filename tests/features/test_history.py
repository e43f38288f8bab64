"""The offline store gets every version that became visible, in few files, before its fetch is acked."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from cosmo.runtime.errors import CosmoError
from features.merge import EntityState
from features.offline import files, history
from features.offline.history import History
from features.online.store import Ref, Version
from features.rows import row_of
from features.views import QUERY_INTENTS
from tests.features.examples import NOW, intent


def version(number: int = 0, *, tick: int = 0) -> Version:
    ref = Ref(QUERY_INTENTS, f"q{number}")
    row = row_of(QUERY_INTENTS, ref.key, EntityState(entries=(intent(),)))
    return Version(ref, NOW + timedelta(milliseconds=tick), row)


def rows(root: Path) -> list[tuple[str, object]]:
    table = pq.read_table(root / "query_intents")
    return sorted(zip(table["query"].to_pylist(), table["event_timestamp"].to_pylist(), strict=True))


def files_in(root: Path) -> list[str]:
    return [path.name for path in root.glob("*/*.parquet")]


async def never(_seconds: float) -> None:
    await asyncio.Event().wait()


@pytest.fixture
def held(tmp_path: Path) -> History:
    """Writes only when told to."""
    return History(tmp_path, 5.0, sleep=never)


async def test_rows_of_several_fetches_share_a_file(held: History) -> None:
    promises = [await held.append([version(number)]) for number in range(3)]
    await held.close()
    await asyncio.gather(*promises)
    assert len(files_in(held.root)) == 1
    assert [key for key, _ in rows(held.root)] == ["q0", "q1", "q2"]


async def test_a_fetch_is_not_confirmed_before_its_rows_are_on_disk(held: History) -> None:
    promise = asyncio.ensure_future(await held.append([version()]))
    await asyncio.sleep(0)
    assert not promise.done()
    assert not files_in(held.root)
    await held.close()
    await promise
    assert rows(held.root) == [("q0", NOW)]


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What reaches the disk itself, in order: names that are given, and what is synced (by name)."""
    done: list[tuple[str, str]] = []
    sync, rename, make = os.fsync, Path.replace, Path.mkdir

    def noted_sync(descriptor: int) -> None:
        sync(descriptor)
        done.append(("synced", Path(f"/proc/self/fd/{descriptor}").readlink().name))

    def noted_rename(path: Path, target: Path) -> Path:
        done.append(("renamed", target.name))
        return rename(path, target)

    def noted_make(path: Path, **options: Any) -> None:
        make(path, **options)
        done.append(("made", path.name))

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(Path, "replace", noted_rename)
    monkeypatch.setattr(Path, "mkdir", noted_make)
    return done


async def test_a_fetch_is_not_confirmed_before_its_rows_outlive_a_power_cut(
    tmp_path: Path, disk: list[tuple[str, str]]
) -> None:
    """A file's content is synced before it has its name, its name before anybody is told, and so is every directory
    that was made for it. Once for a flush: it costs milliseconds."""
    await (await History(tmp_path / "offline", 0.0).append([version(0), version(1)]))
    (name,) = files_in(tmp_path / "offline")
    assert disk == [
        ("made", "offline"),
        ("synced", tmp_path.name),
        ("made", "query_intents"),
        ("synced", "offline"),
        ("synced", f".{name}.partial"),
        ("renamed", name),
        ("synced", "query_intents"),
    ]


async def test_files_are_combined_on_the_disk_before_the_small_ones_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: list[tuple[str, str]]
) -> None:
    monkeypatch.setattr(history, "FILES_BEFORE_COMBINING", 2)
    unlink = Path.unlink

    def noted_unlink(path: Path, *, missing_ok: bool = False) -> None:
        disk.append(("removed", path.name))
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", noted_unlink)
    log = History(tmp_path, 0.0)
    for number in range(2):
        await (await log.append([version(number)]))
    assert [what for what, _ in disk][-5:] == ["synced", "renamed", "synced", "removed", "removed"]


async def test_rows_are_written_after_the_flush_interval(tmp_path: Path) -> None:
    await (await History(tmp_path, 0.0).append([version()]))
    assert rows(tmp_path) == [("q0", NOW)]


async def test_a_version_known_to_be_written_is_not_written_again(tmp_path: Path) -> None:
    log = History(tmp_path, 0.0)
    for tick in (0, 0, 1):
        await (await log.append([version(tick=tick)]))
    assert rows(tmp_path) == [("q0", NOW), ("q0", NOW + timedelta(milliseconds=1))]


async def test_nothing_visible_changed_is_confirmed_at_once(held: History) -> None:
    await (await held.append([]))


async def test_a_full_buffer_is_written_before_more_is_taken(held: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MAX_ROWS", 2)
    first = await held.append([version(0), version(1)])
    await held.append([version(2)])
    await first
    assert [key for key, _ in rows(held.root)] == ["q0", "q1"]
    await held.close()


async def test_many_small_files_become_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "FILES_BEFORE_COMBINING", 3)
    log = History(tmp_path, 0.0)
    for number in range(20):
        await (await log.append([version(number)]))
    assert len(list((tmp_path / "query_intents").iterdir())) == 2 + 0 + 2  # 20 = 2·9 + 0·3 + 2·1
    assert len(rows(tmp_path)) == 20


async def test_a_disk_that_cannot_be_written_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "query_intents").write_text("in the way")
    with pytest.raises(CosmoError, match="offline store"):
        await (await History(tmp_path, 0.0).append([version()]))


def test_a_view_without_history_can_be_read(tmp_path: Path) -> None:
    files.prepare(tmp_path, QUERY_INTENTS)
    assert rows(tmp_path) == []
