"""Who may call: only this machine's names in `Host` and `Origin`, only bearers of the token where something changes.

A foreign `Host` means that some page in a browser has pointed its own name at this address (DNS rebinding), a foreign
`Origin` that some page sends requests here; such a request is refused before it is read. Pages may be looked at on
loopback without a token; they show no prompts.
"""

from __future__ import annotations

import hmac
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

from headwater.api.errors import Handler
from headwater.errors import Refused

COOKIE: Final = "headwater-token"
LOCAL_NAMES: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})


class Unauthorized(Refused):
    code = "invalid_api_key"


def auth_middleware(token: str, host: str) -> Middleware:
    """Refuse foreign hosts and origins everywhere and strangers under /api/."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        require_local_names(request, host)
        if request.path.startswith("/api/") and not bears(request, token):
            raise Unauthorized("the token is missing or wrong", "pass the token from the home's file api-token")
        return await handler(request)

    return check


def require_local_names(request: web.Request, host: str) -> None:
    """Raise Refused if the request was sent to, or by a page of, a name that is not this machine's."""
    names = LOCAL_NAMES | {host.lower()}
    name = request.host.lower()
    if not name.endswith("]"):
        name = name.rsplit(":", 1)[0]
    if name not in names:
        raise Refused(f"this node is not called {name!r}", f"call it by {host}")
    origin = request.headers.get("Origin")
    if origin is not None and _host_of(origin) not in names:
        raise Refused(f"a page of {origin[:80]!r} may not call this node", f"open a page of {host}")


def _host_of(origin: str) -> str | None:
    try:
        name = urlsplit(origin).hostname
    except ValueError:
        return None
    return f"[{name}]" if name and ":" in name else name


def bears(request: web.Request, token: str) -> bool:
    """Whether the request carries the token, in its Authorization header or in our cookie."""
    given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
    return any(
        hmac.compare_digest(text.encode("utf-8", "surrogateescape"), token.encode())
        for text in (given, request.cookies.get(COOKIE, ""))
    )
