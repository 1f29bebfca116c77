"""What every page has in common: templates, headers, the token in its cookie, errors with cause and next step.

In: a template's name and its facts. Out: HTML under a policy that loads nothing from elsewhere and runs no script of
a page's own text. A person brings the home's token once with `?token=…`; it goes into a strict cookie and out of the
address bar. A form counts only if it was sent from a page of this very host and port: the cookie alone is not enough,
for browsers send it to every port of a machine.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import jinja2
from aiohttp import web

from headwater.api.amounts import in_credits
from headwater.api.auth import COOKIE, Unauthorized, bears
from headwater.errors import HeadwaterError, Refused
from headwater.types import hex0x

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    # Not `no-referrer`: with it a browser says `Origin: null` of our own forms, and they would be refused.
    "Referrer-Policy": "same-origin",
}
BRING_TOKEN: Final = "open this page once with ?token=… at its end; the token is in the file api-token of the home"

Facts = Callable[[], Mapping[str, Any]]


class Html:
    """Renders the templates of `headwater.web` for one node."""

    def __init__(self, token: str) -> None:
        self._token = token
        loader = jinja2.PackageLoader("headwater.web")
        self._templates = jinja2.Environment(
            loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        filters: dict[str, Callable[..., Any]] = {
            "hex": hex0x,
            "short": short,
            "credits": in_credits,
            "percent": lambda ppm: f"{ppm / 10_000:.1f} %",
        }
        self._templates.filters |= filters

    async def page(self, request: web.Request, name: str, facts: Facts, status: int = 200) -> web.Response:
        """A page from what `facts` finds out, in a thread. Raises what `facts` raises, Unauthorized."""
        if "token" in request.query:
            raise self._keep_token(request)
        values = await asyncio.to_thread(facts)
        return self.render(name, {**values, "trusted": self.is_trusted(request)}, status)

    def render(self, name: str, values: Mapping[str, Any], status: int = 200) -> web.Response:
        text = self._templates.get_template(name).render(**values)
        return web.Response(text=text, content_type="text/html", charset="utf-8", headers=HEADERS, status=status)

    def error(self, error: HeadwaterError, status: int) -> web.Response:
        """The error as a page of its own."""
        return self.render("error.html", {"error": error, "status": status}, status)

    def is_trusted(self, request: web.Request) -> bool:
        """Whether this browser may start things."""
        return bears(request, self._token)

    def require_form(self, request: web.Request) -> None:
        """Raise Unauthorized without the token, Refused for a form of another page."""
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.host:
            raise Refused(
                f"this form was sent from {origin[:80]!r}, not from a page of this node", "use our own form"
            )
        if not self.is_trusted(request):
            raise Unauthorized("this browser has not brought the node's token", BRING_TOKEN)

    def _keep_token(self, request: web.Request) -> web.HTTPSeeOther:
        given = request.query["token"]
        if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._token.encode()):
            raise Unauthorized("this is not the token of this node", BRING_TOKEN)
        rest = [(name, value) for name, value in request.query.items() if name != "token"]
        answer = web.HTTPSeeOther(request.rel_url.with_query(rest))
        answer.set_cookie(COOKIE, self._token, httponly=True, samesite="Strict", path="/")
        return answer


def short(text: str) -> str:
    """The two ends of a long hexadecimal word; whatever is short stays whole."""
    return text if len(text) <= 16 else f"{text[:8]}…{text[-4:]}"
