"""What routes that change something ask for: the admin key, a source there is, a body of bounded size."""

import hmac

from starlette.requests import Request

from core.application import BoundSource
from core.errors import UnknownName
from serving_layer.problems import Problem
from serving_layer.services import Services

__all__ = ["admit", "bound_source", "whole_body"]


def admit(request: Request, key: str) -> None:
    """Raises Problem unless the request carries the admin key."""
    given = request.headers.get("X-Admin-Key", "")
    if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), key.encode()):
        detail = "the header X-Admin-Key is " + ("not the admin key" if given else "missing")
        raise Problem(
            "admin-key-needed",
            f"{detail}; its file is LAMBDA_ADMIN_KEY_FILE, or secrets/admin.key in the data folder",
            headers={"WWW-Authenticate": "X-Admin-Key"}, field="X-Admin-Key", value=None,
            allowed="the admin key",
        )  # fmt: skip


def bound_source(services: Services, name: str) -> BoundSource:
    """Raises Problem with the names there are."""
    try:
        return services.application.source(name)
    except UnknownName as error:
        raise Problem(
            "unknown-source", str(error), field="source", value=name, allowed=error.known
        ) from error


async def whole_body(request: Request, most: int) -> bytes:
    """The body; given up as soon as it is larger than `most` bytes, whatever its header says."""
    found = bytearray()
    async for chunk in request.stream():
        found += chunk
        if len(found) > most:
            raise Problem.of_field("too-large", "body", f"over {most} bytes", f"at most {most} bytes")
    return bytes(found)
