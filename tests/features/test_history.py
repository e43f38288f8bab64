"""The offline store gets every version that became visible, in few files, before its fetch is acked."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

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
    assert len(list(held.root.glob("*/*.parquet"))) == 1
    assert [key for key, _ in rows(held.root)] == ["q0", "q1", "q2"]


async def test_a_fetch_is_not_confirmed_before_its_rows_are_on_disk(held: History) -> None:
    promise = asyncio.ensure_future(await held.append([version()]))
    await asyncio.sleep(0)
    assert not promise.done()
    assert not list(held.root.glob("*/*.parquet"))
    await held.close()
    await promise
    assert rows(held.root) == [("q0", NOW)]


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
