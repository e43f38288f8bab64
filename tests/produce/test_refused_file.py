"""The file of refusals gives every line back as it was."""

from __future__ import annotations

import base64
import json
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context, synchronize
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmo.produce.lines import Line
from cosmo.produce.outcomes import LineReason, Refusal
from cosmo.produce.refused_file import RefusedFiles, default_path, document
from cosmo.runtime.errors import CosmoError


def refusal(raw: bytes, source: str = "input", *, size: int | None = None) -> Refusal:
    return Refusal(Line(source, 7, raw, len(raw) if size is None else size), LineReason.NOT_JSON, "at column 1")


@given(st.binary(max_size=60) | st.text(max_size=30).map(str.encode))
def test_the_original_comes_back_byte_for_byte(raw: bytes) -> None:
    found = json.loads(json.dumps(document(refusal(raw))))
    text, binary = found["original"], found.get("original_base64")
    assert (text.encode() if text is not None else base64.b64decode(binary)) == raw


def test_a_refusal_says_where_and_why() -> None:
    assert document(refusal(b"{", "events")) == {
        "source": "events",
        "line": 7,
        "reason": "not_json",
        "detail": "at column 1",
        "original": "{",
    }


def test_a_line_that_was_not_kept_says_how_long_it_was() -> None:
    assert document(refusal(b"xx", size=9_000_000))["cut_from_bytes"] == 9_000_000


def test_each_input_has_its_own_file_which_comes_with_the_first_refusal(tmp_path: Path) -> None:
    first, second = str(tmp_path / "a"), str(tmp_path / "b")
    with RefusedFiles() as files:
        assert list(tmp_path.iterdir()) == []
        for raw, source in ((b"1", first), (b"2", second), (b"3", first)):
            files(refusal(raw, source))
    assert files.paths == [default_path(first), default_path(second)]
    originals = [json.loads(line)["original"] for line in default_path(first).read_text().splitlines()]
    assert originals == ["1", "3"]


def test_a_refusal_is_on_disk_before_the_run_ends(tmp_path: Path) -> None:
    with RefusedFiles(tmp_path / "all") as files:
        files(refusal(b"1", "a"))
        assert json.loads((tmp_path / "all").read_text())["source"] == "a"


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    with RefusedFiles(tmp_path / "no" / "folder") as files, pytest.raises(CosmoError, match="cannot be written"):
        files(refusal(b"1"))


@contextmanager
def _files_end_at(size: int) -> Iterator[None]:
    """A write beyond this many bytes is cut there and the next one fails, as on a disk that fills up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_fills_up_leaves_whole_lines_and_takes_more_when_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "all"
    with RefusedFiles(path) as files:
        files(refusal(b"1"))
        with _files_end_at(path.stat().st_size + 20), pytest.raises(CosmoError, match="cannot be written"):
            files(refusal(b"2"))
        assert [json.loads(line)["original"] for line in path.read_text().splitlines()] == ["1"]
        files(refusal(b"3"))
    assert [json.loads(line)["original"] for line in path.read_text().splitlines()] == ["1", "3"]


def test_a_file_in_which_nothing_found_room_is_not_said_to_have_refusals(tmp_path: Path) -> None:
    with RefusedFiles(tmp_path / "all") as files:
        with _files_end_at(20), pytest.raises(CosmoError):
            files(refusal(b"1"))
        assert files.paths == []


def test_who_still_reads_the_refusals_of_the_last_run_reads_them_all(tmp_path: Path) -> None:
    """``jq -r .original refused | mend | cosmo produce … --refused refused`` must not empty what jq reads."""
    path = tmp_path / "refused"
    path.write_text("of the last run")
    with path.open() as reader, RefusedFiles(path) as files:
        files(refusal(b"1"))
        assert reader.read() == "of the last run"
    assert json.loads(path.read_text())["original"] == "1"


def originals(path: Path) -> list[str]:
    return [json.loads(line)["original"] for line in path.read_text().splitlines()]


def test_runs_at_the_same_time_keep_each_others_refusals(tmp_path: Path) -> None:
    source = str(tmp_path / "events")
    with RefusedFiles() as one, RefusedFiles() as two, RefusedFiles() as three:
        for number, files in enumerate((one, two, three, one, two)):
            files(refusal(b"%d" % number, source))
    paths = [path for files in (one, two, three) for path in files.paths]
    assert [path.name for path in paths] == [f"events.refused{suffix}.ndjson" for suffix in ("", "-2", "-3")]
    assert [originals(path) for path in paths] == [["0", "3"], ["1", "4"], ["2"]]


def test_runs_that_begin_at_the_same_instant_keep_each_others_refusals(tmp_path: Path) -> None:
    """Over what an earlier run has left, each of them by a process of its own."""
    path = tmp_path / "all"
    path.write_text("of an earlier run")
    spawning, runs = get_context("spawn"), 8
    barrier = spawning.Barrier(runs)
    children = [spawning.Process(target=refuse_one, args=(path, b"%d" % number, barrier)) for number in range(runs)]
    for child in children:
        child.start()
    for child in children:
        child.join(30.0)
    assert [child.exitcode for child in children] == [0] * runs
    kept = [line for file in tmp_path.iterdir() for line in originals(file)]
    assert sorted(kept) == [str(number) for number in range(runs)]


def refuse_one(path: Path, raw: bytes, barrier: synchronize.Barrier) -> None:
    barrier.wait(30.0)
    with RefusedFiles(path) as files:
        files(refusal(raw))
        barrier.wait(30.0)  # nobody has ended before everybody has written


def test_the_file_of_a_run_that_is_over_is_replaced_and_a_numbered_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "all"
    with RefusedFiles(path) as one, RefusedFiles(path) as two:
        one(refusal(b"1"))
        two(refusal(b"2"))
    with RefusedFiles(path) as one, RefusedFiles(path) as two:
        one(refusal(b"3"))
        two(refusal(b"4"))
    assert [originals(path.with_name(name)) for name in ("all", "all-2", "all-3")] == [["3"], ["2"], ["4"]]


def test_the_file_of_a_pipe_that_the_shell_names_is_in_the_working_directory() -> None:
    assert default_path("/dev/fd/63") == Path("63.refused.ndjson")
    assert default_path("/data/events") == Path("/data/events.refused.ndjson")


def test_a_source_whose_name_is_no_utf8_and_half_a_surrogate_are_written_as_json_can(tmp_path: Path) -> None:
    with RefusedFiles(tmp_path / "all") as files:
        files(Refusal(Line("\udcff", 1, b"{}", 2), LineReason.UNKNOWN_FIELD, "\ud83d is no field"))
    found = json.loads((tmp_path / "all").read_bytes().decode("utf-8"))
    assert (found["source"], found["detail"]) == ("\udcff", "\ud83d is no field")


def left(path: Path | None, source: str) -> None:
    """A run that refused one line of the source."""
    with RefusedFiles(path) as files:
        files(refusal(b"1", source))


def test_the_refusals_of_an_input_go_when_it_has_none_any_more(tmp_path: Path) -> None:
    one, other = str(tmp_path / "one"), str(tmp_path / "other")
    left(None, one)
    left(None, other)
    with RefusedFiles() as files:
        files(refusal(b"2", other))
        files.remove_settled([one, other])
    assert not default_path(one).exists()
    assert originals(default_path(other)) == ["2"]


def test_refusals_that_another_run_is_writing_stay(tmp_path: Path) -> None:
    source = str(tmp_path / "events")
    with RefusedFiles() as other, RefusedFiles() as files:
        other(refusal(b"1", source))
        files.remove_settled([source])
    assert originals(default_path(source)) == ["1"]


def test_refusals_of_a_run_that_ended_meanwhile_stay(tmp_path: Path) -> None:
    """It may have read more of the file than this one."""
    source = str(tmp_path / "events")
    with RefusedFiles() as files:
        left(None, source)
        later_s = default_path(source).stat().st_mtime + 1.0  # file systems count in coarser steps than clocks
        os.utime(default_path(source), (later_s, later_s))
        files.remove_settled([source])
    assert originals(default_path(source)) == ["1"]


def test_refusals_of_other_inputs_stay_in_the_file_that_was_named(tmp_path: Path) -> None:
    path = tmp_path / "all"
    with RefusedFiles(path) as files:
        files(refusal(b"1", "a"))
        files(refusal(b"2", "b"))
    for sources, stays in ((["a"], True), (["-"], True), (["a", "b"], False)):
        with RefusedFiles(path) as files:
            files.remove_settled(sources)
        assert path.exists() is stays


def test_refusals_of_standard_input_stay_since_the_next_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    left(None, "-")
    with RefusedFiles() as files:
        files.remove_settled(["-"])
    assert originals(tmp_path / "stdin.refused.ndjson") == ["1"]


@pytest.mark.parametrize(
    "content", [b"", b"notes\n", b"[]\n", b"null\n", b'{"source": "a"}\n', b"\xff\n", b'{"reason": "x", "source": 3}']
)
def test_what_holds_no_refusals_is_not_removed(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "all"
    path.write_bytes(content)
    with RefusedFiles(path) as files:
        files.remove_settled(["a"])
    assert path.read_bytes() == content


def test_who_still_reads_the_refusals_that_go_reads_them_all(tmp_path: Path) -> None:
    source = str(tmp_path / "events")
    left(None, source)
    with default_path(source).open() as reader, RefusedFiles() as files:
        files.remove_settled([source])
        assert json.loads(reader.read())["original"] == "1"
