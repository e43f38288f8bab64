"""What a worker's log says of an end that nobody foresaw."""

from __future__ import annotations

import pytest

from cosmo.runtime.errors import CosmoError
from cosmo.runtime.last_resort import LastResort
from cosmo.runtime.settings import Settings
from cosmo.workers import one


@pytest.mark.parametrize(("error", "told"), [(ValueError("not so"), True), (CosmoError("As foreseen."), False)])
def test_a_defect_leaves_its_traceback_in_the_log_and_what_was_foreseen_its_sentence_only(
    error: Exception, told: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker that is started again cannot be asked with --debug where it was."""

    async def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(one, "_run", fails)
    monkeypatch.setattr(one, "limit", lambda _: None)
    with pytest.raises(type(error)):
        one.run("ingest", Settings(), LastResort(5.0, exit_s=1.0))
    assert any(record.exc_info for record in caplog.records if one.DEFECT in record.getMessage()) == told
