"""A signal is raised between two lines and while the next is waited for, and nowhere else."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Iterator

import pytest

from cosmo.produce.interrupts import SIGNALS, Interrupts


def test_a_signal_while_a_line_is_worked_on_comes_before_the_next_line() -> None:
    interrupts, taken = Interrupts(), list[int]()

    def take(number: int) -> None:
        if number == 2:
            interrupts.press()
        taken.append(number)

    with pytest.raises(KeyboardInterrupt):
        deque(map(take, interrupts.between(range(5))))
    assert taken == [0, 1, 2]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_input_is_waited_for_is_raised_at_once(number: signal.Signals) -> None:
    def input_() -> Iterator[int]:
        yield 1
        os.kill(os.getpid(), number)
        yield 2

    interrupts, taken = Interrupts(), list[int]()
    with pytest.raises(KeyboardInterrupt), interrupts.listening():
        taken.extend(interrupts.between(input_()))
    assert taken == [1]


def test_what_stood_before_handles_signals_again_afterwards() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with Interrupts().listening():
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_one_signal_is_raised_once() -> None:
    interrupts = Interrupts()
    interrupts.press()
    with pytest.raises(KeyboardInterrupt):
        interrupts.check()
    interrupts.check()


def test_in_a_thread_it_hears_nothing_and_everything_goes_through() -> None:
    taken = list[int]()

    def work() -> None:
        interrupts = Interrupts()
        with interrupts.listening():
            taken.extend(interrupts.between(range(3)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10.0)
    assert taken == [0, 1, 2]
