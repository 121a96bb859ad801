"""How a cassette opens websockets: by its mode, from what is recorded or from its upstream."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson

from ...kernel.errors import APIStatusError, NotFoundError
from ...kernel.http import Response
from ..sessions import key_of
from .dialogues import Playing, Taken, Telling
from .messages import WEBSOCKET, Heard, messages_of
from .recording import Recording, stamp, wall_clock
from .safety import clean
from .spread import gathered
from .upstream import Upstream

if TYPE_CHECKING:
    from ...kernel.dialogue import Dialogue
    from ...kernel.http import Request
    from .cassette import Cassette
    from .matching import Sought

__all__ = ("Websockets",)

_ENDS_WITHIN = 3.0
"""Seconds in which connections of an upstream are closed with the cassette."""


class Websockets:
    """The websockets of a cassette."""

    def __init__(self, cassette: Cassette) -> None:
        self._cassette = cassette
        self._open: list[Taken] = []

    def opened(self, request: Request) -> Dialogue | Response:
        """The dialogue of a handshake, or the response that refuses it."""
        cassette = self._cassette
        key = key_of(request)
        cassette._scrubber.learn([*request.headers.pairs, ("authorization", f"Bearer {key}")])
        asked = self._asked(request)
        sought = cassette._matcher.sought(WEBSOCKET, asked["url"], {})
        if cassette._plays:
            with cassette._lock:
                found = cassette._matcher.candidates(sought, again=self._again)
            if found:
                first = found[0].recording
                if not first.is_dialogue:  # it was refused
                    with cassette._lock:
                        cassette._matcher.take(found[0])
                    return Response(first.status, first.headers, first.body())
                return Playing([each for each in found if each.recording.is_dialogue], self._telling(request, asked))
        if cassette._records:
            return self._live(request, asked)
        return cassette._refuse(sought)

    def finish(self) -> Callable[[], None]:
        """Record what is still open as far as it has come, and leave its upstream; what is given waits for that."""
        still = list(self._open)
        for each in still:
            each.ended()

        def wait() -> None:
            for each in still:
                join = getattr(each.inner, "join", None)
                if join is not None:
                    join(_ENDS_WITHIN)

        return wait

    def _asked(self, request: Request) -> dict[str, Any]:
        asked = self._cassette._asked(request)
        headers = {name: value for name, value in asked.pop("headers", {}).items() if name != "content-type"}
        scheme, _, rest = asked["url"].partition("://")
        url = f"{'wss' if scheme in ('https', 'wss') else 'ws'}://{rest}"
        return {"method": "GET", "url": url, **({"headers": headers} if headers else {})}

    # Playing

    @property
    def _again(self) -> bool:
        return self._cassette.mode not in ("strict", "new")

    def _telling(self, request: Request, asked: dict[str, Any]) -> Telling:
        cassette = self._cassette

        def live() -> Dialogue:
            opened = self._live(request, asked)
            return _Refused(opened) if isinstance(opened, Response) else opened

        return Telling(
            cassette._matcher,
            lambda body: clean(cassette._scrubber, body),
            cassette.speed,
            self._again,
            self._missed,
            self._silent,
            live if cassette._records else None,
        )

    def _missed(self, ours: Sought, theirs: Sought | None, recording: Recording, number: int) -> bytes:
        """Say that a message is not as it was recorded."""
        cassette = self._cassette
        message = cassette._told_apart(
            f"Message {number} of the client in the websocket {recording.path}",
            ours,
            theirs,
            recording,
        )
        cassette._miss(message)
        error = NotFoundError.because(message, code="no_recording")
        return _error_event(error.status_code, error.body)

    def _silent(self, recording: Recording) -> bytes:
        """Say that nothing comes. It is no miss: the client may have left then, as it will now."""
        cassette = self._cassette
        told = f"{cassette._where(recording)} of {cassette.path.name}, has no message of the server"
        error = NotFoundError.because(
            f"Nothing more is said in the websocket {recording.path}: {told}.", code="no_recording"
        )
        return _error_event(error.status_code, error.body)

    # Recording

    def _live(self, request: Request, asked: dict[str, Any]) -> Dialogue | Response:
        cassette = self._cassette
        upstream = cassette._upstream
        if isinstance(upstream, Upstream):
            refusals: list[Response] = []

            def refused(answer: Response) -> list[bytes]:
                refusals.append(answer)
                return [_error_event(answer.status, _body_of(answer))]

            try:
                inner: Any = upstream.relay(request, refused)
            except ImportError as error:
                return _refusal(f"{error}.")
        else:
            refusals = []
            opens = getattr(upstream, "dialogue", None)
            if opens is None:
                return _refusal(f"{upstream!r}, which is recorded, has no websockets.")
            inner = opens(request)
            if isinstance(inner, Response):
                self._keep_refusal(asked, inner)
                return inner

        def keep(heard: list[Heard], closed: bool, taken: Taken) -> None:
            self._open.remove(taken)
            if refusals:
                self._keep_refusal(asked, refusals[0])
            else:
                self._keep(asked, heard, closed)

        taken = Taken(inner, cassette.clock.now, keep)
        self._open.append(taken)
        return taken

    def _keep(self, asked: dict[str, Any], heard: list[Heard], closed: bool) -> None:
        scrubber = self._cassette._scrubber
        told = messages_of(heard, lambda message: clean(scrubber, message))
        gathered(scrubber, told["messages"])
        if closed:
            told["closed"] = "server"
        recording = Recording({"request": asked, "dialogue": told, "recorded": stamp(wall_clock())})
        recording.heard = sum(each["from"] == "client" for each in recording.messages)
        self._cassette._added(recording)

    def _keep_refusal(self, asked: dict[str, Any], answer: Response) -> None:
        body = answer.body if isinstance(answer.body, bytes) else b""
        self._cassette._keep(asked, answer, [(0.0, body)], 0.0)


class _Refused:
    """A dialogue that was refused after it had begun."""

    def __init__(self, answer: Response) -> None:
        self._answer = answer

    def begun(self) -> None:
        return None

    def heard(self, message: bytes) -> Any:
        from .dialogues import closing

        return closing(_error_event(self._answer.status, _body_of(self._answer)))

    def ended(self) -> None:
        return None


def _refusal(message: str) -> Response:
    return APIStatusError.because(message, status=501, code="not_recorded").to_response()


def _body_of(answer: Response) -> Any:
    try:
        found = orjson.loads(answer.body if isinstance(answer.body, bytes) else b"")
    except ValueError:
        found = None
    if isinstance(found, dict):
        return found.get("error", found)
    return {"message": f"The websocket was refused with {answer.status}.", "type": "server_error", "code": None}


def _error_event(status: int, error: Any) -> bytes:
    """An error, as the API's websockets tell one."""
    return orjson.dumps({"type": "error", "event_id": "event_of_the_cassette", "status": status, "error": error})
