"""Who may call: only this machine's names in `Host`, only bearers of the home's token where something changes.

A foreign `Host` means that some page in a browser has pointed its own name at this address (DNS rebinding); such a
request is refused before it is read. Pages may be looked at on loopback without a token; they show no prompts.
"""

from __future__ import annotations

import hmac
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from headwater.api.errors import Handler
from headwater.errors import Refused

COOKIE: Final = "headwater-token"
LOCAL_NAMES: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})


class Unauthorized(Refused):
    code = "invalid_api_key"


def auth_middleware(token: str, host: str) -> Middleware:
    """Refuse foreign hosts everywhere and strangers under /api/."""
    names = LOCAL_NAMES | {host}

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        name = (request.host or "").rsplit(":", 1)[0] if not request.host.endswith("]") else request.host
        if name not in names:
            raise Refused(f"this node is not called {name!r}", f"call it by {host}")
        if request.path.startswith("/api/") and not bears(request, token):
            raise Unauthorized("the token is missing or wrong", "pass the token from the home's file api-token")
        return await handler(request)

    return check


def bears(request: web.Request, token: str) -> bool:
    """Whether the request carries the token, in its Authorization header or in our cookie."""
    given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
    return any(
        hmac.compare_digest(text.encode(), token.encode()) for text in (given, request.cookies.get(COOKIE, ""))
    )
