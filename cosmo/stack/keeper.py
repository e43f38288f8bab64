"""Keeps the parts of a stack running while somebody works with them: what dies is started again, and says so."""

from __future__ import annotations

import time
from collections.abc import Iterable

from cosmo.runtime import logs
from cosmo.stack.child import Child
from cosmo.stack.errors import DiskFullError
from cosmo.stack.parts import Part, ended
from cosmo.stack.restarts import MOST_DEATHS, Restarts

log = logs.get(__name__)


class Keeper:
    """Call `look` a few times a second, from the thread that started the parts.

    Nothing acknowledged is lost by a restart: Kafka, the registry and Valkey have on disk what they have confirmed.
    Parts that are somebody else's have no processes here and are left alone.
    """

    def __init__(self, parts: Iterable[Part]) -> None:
        self._parts = list(parts)
        began_s = time.monotonic()
        self._restarts = {child.name: Restarts(began_s) for part in self._parts for child in part.children}

    def look(self) -> None:
        """Start again what has died, after a pause.

        Raises DiskFullError or PartFailedError for what will not run: at once when its disk is full, otherwise after a
        few deaths in a row; PortTakenError when somebody else has taken its port.
        """
        for part in self._parts:
            for child in part.children:
                if child.pid is None:
                    self._mend(part, child, self._restarts[child.name])

    def _mend(self, part: Part, child: Child, restarts: Restarts) -> None:
        now_s = time.monotonic()
        if (pause_s := restarts.died(now_s)) is not None:
            error = ended(part.label, child)
            if isinstance(error, DiskFullError) or restarts.deaths > MOST_DEATHS:
                raise error
            log.warning("a part of the stack died", part=child.name, restart_in_s=round(pause_s), log=str(child.log))
        elif restarts.due(now_s):
            part.revive(child)
            restarts.began(now_s)
