"""Errors as HTTP: OpenAI's envelope for every client, with our code, cause and next step inside."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from headwater.errors import (
    BadSignature,
    Conflict,
    HeadwaterError,
    Incomplete,
    InvalidInput,
    NotEnoughCredit,
    NotFound,
    Refused,
    Unavailable,
    VerificationFailed,
)

STATUS: Final[tuple[tuple[type[HeadwaterError], int], ...]] = (
    (NotEnoughCredit, 402),
    (BadSignature, 401),
    (InvalidInput, 400),
    (NotFound, 404),
    (Conflict, 409),
    (Refused, 403),
    (VerificationFailed, 422),
    (Incomplete, 422),
    (Unavailable, 503),
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class ErrorPages:
    """How an application with pages shows an error and its status to a person; without it, as plain text."""

    render: Callable[[HeadwaterError, int], web.Response]


ERROR_PAGES: Final = web.AppKey("error_pages", ErrorPages)


def envelope(error: HeadwaterError) -> dict[str, Any]:
    """`{"error": {"message", "type", "param", "code", ...details}}`, as OpenAI's clients parse it."""
    status = status_of(error)
    kind = "invalid_request_error" if status < 500 else "server_error"
    details = {k: v for k, v in error.to_json().items() if k not in ("code", "cause")}
    return {
        "error": {
            "message": str(error),
            "type": kind,
            "param": error.details.get("param"),
            "code": error.code,
            **details,
        }
    }


def status_of(error: HeadwaterError) -> int:
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def json_response(data: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        text=json.dumps(data, ensure_ascii=False), status=status, content_type="application/json", headers=headers
    )


@web.middleware
async def error_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Expected errors become their status and envelope; pages of ours say the same in words."""
    is_api = request.path.startswith(("/v1/", "/api/"))
    try:
        return await handler(request)
    except HeadwaterError as error:
        headers = {"Retry-After": "1"} if isinstance(error, Unavailable) else None
        if is_api:
            return json_response(envelope(error), status_of(error), headers)
        return _in_words(request, error, status_of(error))
    except web.HTTPClientError as error:  # aiohttp's own: no such route, not this method, a body too large
        kind = NotFound if error.status == 404 else InvalidInput
        cause = f"{request.method} {request.path}: {error.reason.lower()}"
        if is_api:
            return json_response(envelope(kind(cause, "see the API's description")), error.status)
        return _in_words(request, kind(cause, "begin at the overview"), error.status)


def _in_words(request: web.Request, error: HeadwaterError, status: int) -> web.Response:
    pages = request.app.get(ERROR_PAGES)
    if pages is not None:
        return pages.render(error, status)
    return web.Response(text=f"{error.cause}\n\nNext: {error.next_step}", status=status)
