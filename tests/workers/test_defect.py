"""What a worker says of itself: which it is, and in its log why it ended when nobody foresaw that."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from cosmo.runtime.errors import CosmoError
from cosmo.runtime.last_resort import LastResort
from cosmo.runtime.metrics import REGISTRY
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


def test_a_worker_exports_which_version_of_which_process_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(*_: object, **__: object) -> None:
        raise CosmoError("Its port is taken.")

    monkeypatch.setattr("cosmo.runtime.health.serve", taken)
    monkeypatch.setattr(one, "limit", lambda _: None)
    with pytest.raises(CosmoError, match="taken"):
        one.run("sample", Settings(), LastResort(5.0, exit_s=1.0))
    who = {"version": version("cosmo-streams"), "process": "sample"}
    assert REGISTRY.get_sample_value("cosmo_build_info", who) == 1
