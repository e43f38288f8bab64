"""The file of refusals gives every line back as it was."""

from __future__ import annotations

import base64
import json
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
