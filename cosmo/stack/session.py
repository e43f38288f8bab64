"""The stack of a home as commands use it: started and left running, stopped, asked, or joined for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cosmo.runtime.deadline import Deadline
from cosmo.runtime.settings import Settings
from cosmo.stack import state
from cosmo.stack.errors import StackError
from cosmo.stack.furnish import furnish
from cosmo.stack.home import Home
from cosmo.stack.ports import Ports
from cosmo.stack.stack import STOP_S, Progress, Stack, silent
from cosmo.stack.status import PartStatus, status_of


def up(settings: Settings, *, brokers: int = 1, progress: Progress = silent) -> Stack:
    """Start what does not run of the stack in ``settings.home``, furnish it, and leave it running when this process
    ends. When anything goes wrong or is interrupted, nothing that this call has started is left; a home in which it
    cannot even begin is not made.

    Raises CosmoError, also when it already runs with another number of brokers.
    """
    home = Home.at(settings.home, brokers=brokers)
    fresh = Stack(settings, home=home, ports=Ports.fixed(settings, brokers=brokers), tied=False)
    if not home.run.exists():
        fresh.check_startable()  # the directory was perhaps not meant: the stack of another has the ports
    home.create(min_free_bytes=settings.min_free_bytes)
    with home.locked():
        stack = _left_running(settings) or fresh
        _check_brokers(stack, brokers)
        with stack.kept_only_if_all_goes_well():
            stack.start(progress=progress)
            furnish(stack.connected(), progress=progress)
    return stack


def down(settings: Settings) -> list[str]:
    """Stop what `up` has left running; returns the names of the processes stopped. Data stays.

    Raises HomeBusyError when the stack belongs to a running ``cosmo demo``.
    """
    home = Home.at(settings.home)
    if not home.run.exists():
        return []  # no stack has ever been here: nothing is made in a directory that was perhaps not meant
    with home.locked():
        stack = _left_running(settings)
        if stack is None:
            return []
        names = [child.name for child in stack.children if child.pid]
        stack.stop(Deadline.after(STOP_S))
        return names


def status(settings: Settings) -> list[PartStatus]:
    """Each part as it is now; changes nothing."""
    stack = _left_running(settings, also_tied=True)
    if stack is None:
        stack = Stack(settings, home=Home.at(settings.home), ports=Ports.fixed(settings, brokers=1), tied=False)
    return [status_of(part) for part in stack.parts.values()]


@contextmanager
def joined(settings: Settings, *, brokers: int = 1, progress: Progress = silent) -> Iterator[Stack]:
    """The stack that `up` has left running, left as it is afterwards; otherwise one that lives as long as the block.
    Furnished in either case."""
    stack = _left_running(settings)
    if stack is None:
        home = Home.at(settings.home, brokers=brokers)
        with Stack.running(settings, home=home, ports=Ports.fixed(settings, brokers=brokers), progress=progress) as own:
            furnish(own.connected(), progress=progress)
            yield own
        return
    with stack.home.locked():
        _check_brokers(stack, brokers)
        stack.start(progress=progress)  # a part may have died meanwhile
        furnish(stack.connected(), progress=progress)
        yield stack


def _left_running(settings: Settings, *, also_tied: bool = False) -> Stack | None:
    """The stack as it was started last, if any of its processes runs."""
    known = state.load(Home.at(settings.home).run)
    if known is None or (known.tied and not also_tied):
        return None
    home = Home.at(settings.home, brokers=known.brokers)
    stack = Stack(settings, home=home, ports=known.ports, tied=known.tied)
    return stack if any(child.pid for child in stack.children) else None


def _check_brokers(stack: Stack, brokers: int) -> None:
    running = len(stack.ports.kafka)
    if running != brokers:
        raise StackError(
            f"The stack in {stack.home.root} already runs with {running} broker{'s' if running > 1 else ''}.",
            advice=f"Run `cosmo stack down` first, or ask for --brokers {running}.",
        )
