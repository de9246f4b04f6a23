"""A POST route: a JSON object in, a JSON object out, or a file in and a file out, within limits of size and time.

It is an ASGI application of its own: FastAPI's parsing of requests takes longer than scoring a row.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

DISCARDED = 16  # times the limit: so much of a body that is too large is read, for many clients send before they listen

to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


class Refused(Exception):
    """A request that is answered with a status and a sentence. headers: besides the usual ones."""

    def __init__(self, status: int, sentence: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.headers = status, headers or {}


class Disconnected(Exception):
    """The client went away in the middle of its request."""


class Post:
    """Gives JSON objects to `answer`, which returns one or raises Refused."""

    less, instead = "fewer rows", "its rows in several requests"  # what a client may do about limits

    def __init__(self, answer: Callable[[Any], Awaitable[Any]], *, max_body: int, timeout_s: float) -> None:
        """max_body: bytes of a body. timeout_s: for reading it, and again for the answer."""
        self.answer, self.max_body, self.timeout_s = answer, max_body, timeout_s

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        status, headers = 200, {}
        try:
            asked = self.read(await self._in_time(self._body(scope, receive), 408, "the body did not arrive"))
            body, media = self.written(await self._in_time(self.answer(asked), 504, "there was no answer"))
        except Disconnected:
            return
        except Refused as error:
            status, headers = error.status, error.headers
            body, media = to_json({"detail": str(error)}).encode("utf-8", "replace"), "application/json"
        fields = [(b"content-type", media.encode()), (b"content-length", b"%d" % len(body))]
        fields += [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": body})

    def read(self, body: bytes) -> Any:
        """What a body holds. Raises Refused."""
        return _object(body)

    def written(self, answer: Any) -> tuple[bytes, str]:
        """The body of an answer, and its media type."""
        return to_json(answer).encode("utf-8", "replace"), "application/json"

    async def _in_time(self, awaited: Awaitable[Any], status: int, what: str) -> Any:
        try:
            async with asyncio.timeout(self.timeout_s):
                return await awaited
        except TimeoutError:
            headers = {"connection": "close"} if status == 408 else None
            sentence = f"{what} within {self.timeout_s:g} seconds: try again, or with {self.less}"
            raise Refused(status, sentence, headers) from None

    async def _body(self, scope: dict[str, Any], receive: Any) -> bytes:
        parts: list[bytes] = []
        size, more = _declared(scope), True
        if size <= DISCARDED * self.max_body:
            size = 0
            while more and size <= DISCARDED * self.max_body:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Disconnected
                part, more = message.get("body", b""), message.get("more_body", False)
                size += len(part)
                if size <= self.max_body:
                    parts.append(part)
        if size > self.max_body:
            sentence = f"the body is larger than {self.max_body} bytes: send {self.instead}"
            raise Refused(413, sentence, {"connection": "close"} if more else None)
        return b"".join(parts)


class PostFile(Post):
    """Gives bodies as they are to `answer`, which returns bytes and their media type."""

    less, instead = "a smaller file", "a smaller one"

    def read(self, body: bytes) -> bytes:
        return body

    def written(self, answer: tuple[bytes, str]) -> tuple[bytes, str]:
        return answer


def _declared(scope: dict[str, Any]) -> int:
    """The Content-Length, or 0."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0


def _object(body: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(422, f"the body is no JSON that can be read: {error}") from None
    if not isinstance(asked, dict):
        raise Refused(422, "the body is no JSON object: README.md shows what it is to be")
    return asked
