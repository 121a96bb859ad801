"""Conversations that are kept here: a layer that puts what was said before in front of what is new."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from secrets import token_urlsafe
from time import monotonic
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

from ...client.chat.conversation import Conversation
from ...client.chat.history import Message, trimmed
from ...kernel.view import plain
from ..answers import undisturbed
from ..errors import Refused
from ..stores.base import key
from ..stores.memory import MemoryStore
from .asking import Named, Place, named, place_of
from .said import Said, is_answer, is_result, messages_of, settled, waiting

if TYPE_CHECKING:
    from ..answers import Answer, Asked, Opening
    from ..stores import Store

__all__ = ("Memory",)

log = logging.getLogger("antiphon.router")

_LEASE: Final = 30.0
"""Seconds after which a session is free again whose worker has died."""
_PAUSE: Final = (0.02, 0.5)
"""Seconds between looks at a session that another worker has: the first time, and at most."""
_WEEK: Final = 7 * 24 * 3600.0
_PLACES: Final = ("header:x-session-id", "query:session_id", "body:session_id")


class Memory:
    """A layer that keeps conversations, so that callers send only what is new.

        OpenAIAPIRouter(layers=[Memory(SQLiteStore("sessions.db"), user=signed_in)])

    - `store`: where they are kept, in the process unless told: a `MemoryStore`, an `SQLiteStore`, any `Store`.
    - `session`: where a question names its session: `header:NAME`, `cookie:NAME`, `query:NAME` or `body:FIELD`, or
      several of these, the first that is there; or a function from the question to the id. A question that names none
      begins a session, whose id is told in the header (`x-session-id`) or the cookie; on a websocket it belongs to
      the session of that connection, which ends with it.
    - `user`: a function from the question to the name of who asks. A session then belongs to its user: the same id is
      another session for everybody else.
    - `own_ids`: refuse ids that were not made here, with a 404.
    - `messages`, `tokens`: how much of a conversation is kept and sent. The oldest leaves first, calls of tools with
      their results; the system prompt and the question under way always go. `count_tokens` counts the tokens of a
      text, which are estimated without it.
    - `seconds`: how long a session is kept after its last question.
    - `wait`: how long a question waits for another of its session to be answered, before it is a 409.

    An answer that fails leaves the conversation as it was. One that is cancelled or left leaves what was said so far.
    """

    def __init__(
        self,
        store: Store | None = None,
        *,
        session: str | Sequence[str] | Named = _PLACES,
        user: Named | None = None,
        own_ids: bool = False,
        messages: int | None = 100,
        tokens: int | None = None,
        count_tokens: Callable[[str], int] | None = None,
        seconds: float | None = _WEEK,
        wait: float = 30.0,
    ) -> None:
        for name, limit in (("messages", messages), ("tokens", tokens)):
            if limit is not None and limit < 1:
                raise ValueError(f"{name} is at least 1, or None for no limit; it was {limit}")
        if wait < 0 or (seconds is not None and seconds <= 0):
            raise ValueError("wait is not negative, and seconds are more than 0, or None for ever")
        self.store: Store = MemoryStore() if store is None else store
        self.messages = messages
        self.tokens = tokens
        self.seconds = seconds
        self.wait = wait
        self.own_ids = own_ids
        self._user = user
        self._function: Named | None = None
        self._places: list[Place] = []
        if callable(session):
            self._function = session
        else:
            self._places = [place_of(each) for each in ((session,) if isinstance(session, str) else session)]
        self._count = count_tokens
        self._rate: float | None = None
        """What this host's tokens are worth, as far as is known."""
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def places(self) -> tuple[Place, ...]:
        """Where questions name their sessions; nowhere, if a function finds them."""
        return tuple(self._places)

    # For endpoints

    async def history(self, session: str, *, user: str | None = None) -> list[dict[str, Any]]:
        """The messages of a session, oldest first, without the system prompt; none where there is no such session."""
        return await _load(self.store, _key(user, session)) or []

    async def remember(self, session: str, messages: Sequence[Mapping[str, Any]], *, user: str | None = None) -> None:
        """Put messages in place of what a session remembers. A question under way does not see them, and wins."""
        await self._save(self.store, _key(user, session), messages_of([plain(each) for each in messages]))

    async def forget(self, session: str, *, user: str | None = None) -> None:
        """Forget a session."""
        await self.store.delete(_key(user, session))

    async def sessions(self, user: str | None = None) -> list[str]:
        """The ids of a user's sessions; of those that belong to nobody."""
        from urllib.parse import unquote

        return sorted(unquote(each.rpartition("/")[2]) for each in await self.store.keys(_key(user, "")))

    # The layer

    async def __call__(self, asked: Asked, ask: Opening) -> Answer:
        """Ask with what was said before, and remember what is said."""
        if not asked.messages:
            return await ask(asked)
        user = await named(self._user, asked, "user")
        store, session, made = await self._found(asked)
        place = _key(user, session)
        asked.state["session"] = session
        turn = _Turn(self._locks, store, place)
        await turn.begin(self.wait)
        try:
            kept = await _load(store, place)
            if self.own_ids and not made and kept is None:
                raise Refused(f"There is no session {session!r}.", status=404, code="session_not_found")
            if self.own_ids and kept is None:
                await self._save(store, place, [])
            history, new = self._continued(asked, kept or [])
            answer = await ask(asked)
        except BaseException:
            await undisturbed(turn.end())
            raise
        said = Said()
        sent = asked.messages

        async def ended() -> None:
            await self._end(turn, asked, sent, [*history, *new], said)

        answer.watch(said.add, ended)
        return answer

    async def _found(self, asked: Asked) -> tuple[Store, str, bool]:
        """The session of a question, where it is kept, and whether it was made for it."""
        session: str | None = None
        if self._function is not None:
            session = await named(self._function, asked, "session")
        for each in self._places:
            session = each.find(asked)
            if session is not None:
                if each.kind == "cookie":
                    self._tell(asked, session)
                return self.store, session, False
        if session is not None:
            return self.store, session, False
        made = token_urlsafe(24)
        connection = asked.connection
        if connection is not None and connection.scope["type"] == "websocket":
            # Nobody else can name it, so it need not outlive the connection.
            sessions: dict[int, tuple[Store, str]] = connection.scope.setdefault("antiphon.sessions", {})
            store, session = sessions.setdefault(id(self), (MemoryStore(), made))
            return store, session, True
        self._tell(asked, made)
        return self.store, made, True

    def _tell(self, asked: Asked, session: str) -> None:
        """Tell the caller the id, where the next question will have it."""
        place = next((each for each in self._places if each.kind in ("header", "cookie")), None)
        if place is None or place.kind == "header":
            asked.headers.append(("x-session-id" if place is None else place.name, session))
            return
        from http.cookies import Morsel, SimpleCookie

        cookies: SimpleCookie = SimpleCookie({place.name: session})
        cookie: Morsel[Any] = cookies[place.name]
        cookie["path"], cookie["httponly"], cookie["samesite"] = "/", True, "lax"
        if self.seconds is not None:
            cookie["max-age"] = int(self.seconds)
        if asked.connection is not None and asked.connection.url.scheme in ("https", "wss"):
            cookie["secure"] = True
        asked.headers.append(("set-cookie", cookie.OutputString()))

    # What is sent, and kept

    def _continued(self, asked: Asked, history: list[Message]) -> tuple[list[Message], list[Message]]:
        """Put what was said in front of the question. What was said, and what is new, as they are to be kept."""
        given = asked.messages
        if asked.again:
            history = history[: _last_question(history)]
        if history:
            history, given = _continuation(history, given)
        try:
            new = messages_of(given)
        except TypeError as error:
            raise Refused(str(error), status=422, param="messages") from None
        under_way = 0
        if waiting(history):
            # The question that the calls belong to is still under way, and goes whole.
            under_way = len(history) - _last_question(history)
        talk = self._talk(asked, history[: len(history) - under_way])
        before = len(talk._prompt())
        context = talk._context([*history[len(history) - under_way :], *new])[before:]
        asked.messages = [*context[: len(context) - len(new)], *given]
        return history, new

    def _talk(self, asked: Asked, history: Sequence[Message]) -> Conversation:
        """A chat with these limits, which knows what fits."""
        resource = asked.resource
        given: Any = getattr(resource, "tools", ())
        talk = Conversation(
            None,
            model="",
            system=getattr(resource, "system", None),
            tools=[each for each in given if not isinstance(each, Mapping)] if self.tokens is not None else (),
            history=(),
            history_messages=self.messages,
            history_tokens=self.tokens,
            count_tokens=self._count,
            max_rounds=0,
            tools_at_once=1,
            tool_error=None,
            options={},
        )
        talk._messages = list(history)
        if self._rate is not None:
            talk._tokens._rate = self._rate
        return talk

    async def _end(self, turn: _Turn, asked: Asked, sent: list[Message], messages: list[Message], said: Said) -> None:
        try:
            answered = said.so_far()
            if said.failed is not None or not answered:
                return
            talk = self._talk(asked, ())
            if said.usage is not None and said.rounds == 1 and self.tokens is not None:
                heard = [*talk._prompt(), *messages_of(sent)]
                talk._tokens.learn(heard, talk._tool_words(), said.usage.input_tokens or 0)
                self._rate = talk._tokens._rate
            whole = [*messages, *answered]
            under_way = len(whole) - _last_question(whole) if waiting(whole) else 0
            kept = trimmed(whole, under_way, talk._fits)
            if await turn.ours():
                await self._save(turn.store, turn.place, kept)
            else:
                log.warning("a session was taken over by another worker; what was said is not remembered")
        except Exception:
            log.exception("what was said in a session could not be kept")
        finally:
            await turn.end()

    async def _save(self, store: Store, place: str, messages: Sequence[Message]) -> None:
        from orjson import dumps

        await store.set(place, dumps({"version": 1, "messages": messages}), self.seconds)


def _key(user: str | None, session: str) -> str:
    # Users are told apart from the absence of one, whatever they are named.
    return key("session", "" if user is None else f"={user}", session)


async def _load(store: Store, place: str) -> list[Message] | None:
    from orjson import loads

    found = await store.get(place)
    messages: list[Message] | None = None if found is None else loads(found)["messages"]
    return messages


def _last_question(messages: Sequence[Message]) -> int:
    """Where the last question of a conversation begins; at its beginning, where the user has said nothing."""
    return max((place for place, each in enumerate(messages) if each["role"] == "user"), default=0)


def _continuation(history: list[Message], given: list[dict[str, Any]]) -> tuple[list[Message], list[dict[str, Any]]]:
    """What of a caller's messages is new, and the history that it continues.

    Some callers send all they know, every time: what comes after the last words of the model is new. Results of tools
    answer calls that wait for them; calls that nobody answers are taken back. Raises `Refused` where results are
    missing, or nothing is new.
    """
    last = max((n for n, each in enumerate(given) if is_answer(each)), default=-1)
    rest = given[last + 1 :]
    results = [each for each in rest if is_result(each)]
    spoken = [each for each in rest if not is_result(each)]
    open_calls = waiting(history)
    fitting = [each for each in results if _answers(each) in open_calls]
    if fitting:
        missing = open_calls - {_answers(each) for each in fitting}
        if missing:
            raise Refused(
                f"Results are missing for {', '.join(sorted(missing))}: send those of all calls together.",
                status=422,
                code="missing_tool_result",
                param="messages",
            )
        return history, [*fitting, *spoken]
    if not spoken:
        said = "results of calls that this session does not wait for" if results else "nothing new for this session"
        raise Refused(f"`messages` has {said}.", status=422, code="nothing_new", param="messages")
    return settled(history), spoken


def _answers(result: Mapping[str, Any]) -> str:
    given = result.get("tool_call_id") or result.get("call_id")
    return given if isinstance(given, str) else ""


class _Turn:
    """A session that one question has to itself: in this process by a lock, among several by a claim of the store."""

    __slots__ = ("_keeping", "_lock", "_locked", "_owner", "_until", "place", "store")

    def __init__(self, locks: WeakValueDictionary[str, asyncio.Lock], store: Store, place: str) -> None:
        self.store = store
        self.place = place
        self._lock = locks.setdefault(place, asyncio.Lock())
        self._locked = False
        self._owner = token_urlsafe(12)
        self._keeping: asyncio.Task[None] | None = None
        self._until = 0.0

    async def begin(self, wait: float) -> None:
        """Wait for the turn, in the order of coming. Raises `Refused` where it does not come in time."""
        until = monotonic() + wait
        pause, longest = _PAUSE
        try:
            async with asyncio.timeout(wait):
                await self._lock.acquire()
        except TimeoutError:
            raise _busy() from None
        self._locked = True
        try:
            while not await self._claim():
                left = until - monotonic()
                if left <= 0:
                    raise _busy()
                await asyncio.sleep(min(pause, left))
                pause = min(pause * 2, longest)
        except BaseException:
            await undisturbed(self.end())
            raise
        self._keeping = asyncio.get_running_loop().create_task(self._keep())

    async def _claim(self) -> bool:
        claimed = await self.store.claim(self.place, self._owner, _LEASE)
        if claimed:
            self._until = monotonic() + _LEASE / 2
        return claimed

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(_LEASE / 3)
            try:
                if not await self._claim():
                    return
            except Exception:
                log.exception("the claim of a session could not be renewed")

    async def ours(self) -> bool:
        """Whether the session is still this question's."""
        return monotonic() < self._until or await self._claim()

    async def end(self) -> None:
        """Let the next have it."""
        if self._keeping is not None:
            self._keeping.cancel()
            self._keeping = None
        try:
            await self.store.release(self.place, self._owner)
        except Exception:
            log.exception("the claim of a session could not be released")
        finally:
            if self._locked:
                self._locked = False
                self._lock.release()


def _busy() -> Refused:
    return Refused("Another question of this session is being answered.", status=409, code="session_busy")
