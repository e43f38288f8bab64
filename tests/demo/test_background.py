from __future__ import annotations

import os
import signal
import threading

import pytest

from cosmo.demo import interrupts
from cosmo.demo.background import Background


def test_what_broke_the_work_is_raised_where_somebody_looks() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    background = Background(fail, "failing")
    background.wait(10.0)
    with pytest.raises(ZeroDivisionError):
        background.done()


def test_work_is_done_when_it_has_ended() -> None:
    going = threading.Event()
    background = Background(lambda: _until(going), "waiting")
    assert not background.done()
    going.set()
    background.wait(10.0)
    assert background.done()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_interrupts_and_later_ones_do_not_disturb_the_stop(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        _interrupted_while_stopping(number)
    assert signal.getsignal(number) is before


@interrupts.once()
def _interrupted_while_stopping(number: signal.Signals) -> None:
    try:
        os.kill(os.getpid(), number)
    finally:
        os.kill(os.getpid(), signal.SIGINT)


def _until(event: threading.Event) -> None:
    event.wait(10.0)
