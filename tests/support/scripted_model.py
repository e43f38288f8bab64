"""A model server that speaks the same HTTP as llama.cpp and vLLM, answers at once, and fails when it is told to.

    python -m tests.support.scripted_model --port 8089 --delay-s 0.01

It is real HTTP on a real port, so clients, kill -9 and time limits meet what they would meet in production; only the
answers are scripted (``scripted_answers``). Its behaviour may be changed while it runs: ``POST /script`` with any of
`Script`'s fields as JSON, and ``GET /script`` tells what it did so far.
"""

from __future__ import annotations

import argparse
import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

import orjson

from tests.support.scripted_answers import Spoken, answers

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """How the server behaves. The defaults are a server without faults."""

    model_id: str = "scripted-model"
    form: Literal["llamacpp", "vllm"] = "llamacpp"
    """Whose form of log-probabilities it answers in."""
    api_key: str = ""
    delay_s: float = 0.0
    delay_per_prompt_s: float = 0.0
    status: int = 200
    """Answer with this instead, without thinking: 503 while loading, 429 when busy."""
    failures: int = -1
    """How many requests ``status`` is given to; below 0: all, until told otherwise."""
    refuse: str = "\x00"
    """A prompt that holds this text is refused (400), and with it the whole request, as servers do."""
    break_on: str = "\x00"
    """A prompt that holds this text is answered by 500, and with it the whole request."""
    max_prompt_chars: int = 16_000
    """Longer prompts are refused, as those beyond a model's context are."""
    wrong: Literal["", "short", "shuffled", "no_logprobs", "not_json"] = ""
    """Answers that do not fit the question. ``shuffled`` does: choices out of order, told by their index."""


@dataclass(slots=True)
class Seen:
    """What the server did so far."""

    requests: int = 0
    prompts: int = 0
    """Answered, repeated ones counted again."""
    most_at_once: int = 0
    """Most requests that were in the server at the same time."""
    statuses: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class ScriptedModel:
    """The server's state. Safe to use from several threads."""

    script: Script = field(default_factory=Script)
    seen: Seen = field(default_factory=Seen)
    url: str = ""
    _inside: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def change(self, **changes: Any) -> None:
        """From the next request on. TypeError for what is no field of `Script`."""
        with self._lock:
            self.script = replace(self.script, **changes)

    @contextlib.contextmanager
    def inside(self) -> Iterator[Script]:
        """Count a request, and take one failure from the script if it has some."""
        with self._lock:
            self.seen.requests += 1
            self._inside += 1
            self.seen.most_at_once = max(self.seen.most_at_once, self._inside)
            script = self._next()
        try:
            yield script
        finally:
            with self._lock:
                self._inside -= 1

    def _next(self) -> Script:
        """The script for one request; after the last of counted failures all is well again."""
        script = self.script
        if script.status != 200 and script.failures >= 0:
            left = script.failures - 1
            self.script = replace(script, failures=left) if left > 0 else replace(script, status=200, failures=-1)
        return script

    def ended(self, status: int, prompts: int) -> None:
        with self._lock:
            self.seen.statuses[status] = self.seen.statuses.get(status, 0) + 1
            self.seen.prompts += prompts if status == 200 else 0


@contextlib.contextmanager
def scripted_model(script: Script | None = None, *, port: int = 0) -> Iterator[ScriptedModel]:
    """Serve from threads of this process until the context ends; port 0 takes a free one."""
    model = ScriptedModel(script or Script())
    server = _Server((LOOPBACK, port), partial(_Handler, model))
    model.url = f"http://{LOOPBACK}:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield model
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def complete(script: Script, request: Mapping[str, Any]) -> tuple[int, Any]:
    """Status and document that answer one request to ``/v1/completions``."""
    asked = request.get("prompt", "")
    prompts: list[str] = [asked] if isinstance(asked, str) else list(asked)
    if not prompts or any(script.refuse in one or len(one) > script.max_prompt_chars for one in prompts):
        return 400, _error("the prompt cannot be taken")
    if any(script.break_on in one for one in prompts):
        return 500, _error("internal error")
    choices = [_choice(script, one, index) for index, one in enumerate(_spoken(request, prompts))]
    if script.wrong == "short":
        choices.pop()
    if script.wrong == "shuffled":
        choices.reverse()
    return 200, {"object": "text_completion", "model": script.model_id, "choices": choices}


def _spoken(request: Mapping[str, Any], prompts: Sequence[str]) -> Iterator[Spoken]:
    asked = {
        "n": int(request.get("n") or 1),
        "max_tokens": int(request.get("max_tokens") or 16),
        "temperature": float(request.get("temperature", 1.0)),
        "seed": int(request.get("seed") or 0),
    }
    for prompt in prompts:
        yield from answers(prompt, **asked)  # type: ignore[arg-type]  # each has the type of its parameter


def _choice(script: Script, spoken: Spoken, index: int) -> dict[str, Any]:
    form = _llamacpp if script.form == "llamacpp" else _vllm
    logprobs = None if script.wrong == "no_logprobs" else form(spoken)
    reason = "length" if spoken.cut else "stop"
    return {"index": index, "text": spoken.text, "finish_reason": reason, "logprobs": logprobs}


def _llamacpp(spoken: Spoken) -> dict[str, Any]:
    pairs = zip(spoken.tokens, spoken.logprobs, strict=True)
    return {"content": [{"token": token, "logprob": logprob, "top_logprobs": []} for token, logprob in pairs]}


def _vllm(spoken: Spoken) -> dict[str, Any]:
    offsets = [sum(map(len, spoken.tokens[:index])) for index in range(len(spoken.tokens))]
    return {"tokens": spoken.tokens, "token_logprobs": spoken.logprobs, "text_offset": offsets, "top_logprobs": None}


def _error(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "scripted"}}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet
    disable_nagle_algorithm = True

    def __init__(self, model: ScriptedModel, *args: Any) -> None:
        self._model = model
        super().__init__(*args)

    def do_GET(self) -> None:
        if self.path == "/v1/models":
            with self._model.inside() as script:
                self._guarded(script, lambda: (200, {"object": "list", "data": [{"id": script.model_id}]}), 0)
        elif self.path == "/script":
            self._answer(200, asdict(self._model.seen) | {"script": asdict(self._model.script)})
        else:
            self._answer(200 if self.path == "/health" else 404, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            request = orjson.loads(body)
        except orjson.JSONDecodeError:
            self._answer(400, _error("not JSON"))
            return
        if self.path == "/script":
            self._model.change(**request)
            self._answer(200, asdict(self._model.script))
            return
        with self._model.inside() as script:
            asked = request.get("prompt", "")
            prompts = 1 if isinstance(asked, str) else len(asked)
            time.sleep(script.delay_s + prompts * script.delay_per_prompt_s)
            self._guarded(script, lambda: complete(script, request), prompts)

    def _guarded(self, script: Script, answer: Callable[[], tuple[int, Any]], prompts: int) -> None:
        if script.api_key and self.headers.get("Authorization") != f"Bearer {script.api_key}":
            status, document = 401, _error("no or wrong key")
        elif script.status != 200:
            status, document = script.status, _error("as the script says")
        else:
            status, document = answer()
        self._model.ended(status, prompts)
        self._answer(status, document, raw=b"{not json" if script.wrong == "not_json" else None)

    def _answer(self, status: int, document: Any, raw: bytes | None = None) -> None:
        body = raw or orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the client gave up waiting
            self.wfile.write(body)
            self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by http.server
        pass


def main() -> None:
    """Serve until killed; the first line on standard output says where."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    for one in fields(Script):
        kind = type(one.default)
        parser.add_argument(f"--{one.name.replace('_', '-')}", type=kind, default=one.default)
    arguments = vars(parser.parse_args())
    port = arguments.pop("port")
    with scripted_model(Script(**arguments), port=port) as model:
        print(f"serving {model.script.model_id} on {model.url}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
