"""HEAD: on every route that GET has, the same answer without its body."""

from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Heads", "with_head"]


class Heads:
    """Lets routes answer HEAD as GET, and keeps the body back; its length stays in the headers.

    A body that does not end would keep the answer back as well: `without_body` in the scope says so.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET", "without_body": True}, receive, without_body)


def with_head(headers: Mapping[str, str] | None) -> dict[str, str]:
    """The headers of a refused method, with HEAD allowed where GET is."""
    found = dict(headers or {})
    methods = found.get("Allow", "").split(", ")
    return found | {"Allow": ", ".join([*methods, "HEAD"])} if "GET" in methods else found
