"""The model server part: llama.cpp in a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from cosmo.stack.child import Child
from cosmo.stack.home import Home
from cosmo.stack.model_file import fetch_model, model_path
from cosmo.stack.parts import Name, OwnPart, Say
from cosmo.stack.ports import LOOPBACK
from cosmo.stack.probes import http_ok


class ModelPart(OwnPart):
    """Ready when the model is loaded, which takes a second."""

    name = Name.MODEL
    label = "The model server"
    port_setting = "COSMO_LM_PORT"

    def __init__(self, home: Home, *, port: int, tied: bool) -> None:
        self._home = home
        self._port = port
        self._child = Child(name=self.name, command=self._command, home=home, tied=tied)

    @property
    def address(self) -> str:
        return f"http://{LOOPBACK}:{self._port}"

    @property
    def children(self) -> Sequence[Child]:
        return (self._child,)

    @property
    def listens_on(self) -> Sequence[Sequence[int]]:
        return ((self._port,),)

    def prepare(self, say: Say) -> None:
        fetch_model(self._home, say)

    def serves(self) -> bool:
        return http_ok(f"{self.address}/health")

    def _command(self) -> tuple[str, ...]:
        options = ("--model", str(model_path(self._home)), "--port", str(self._port))
        return (sys.executable, "-m", "cosmo.stack.model_server", *options)
