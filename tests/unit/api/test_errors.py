"""Errors as HTTP: the status by kind, OpenAI's envelope with cause and next step inside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from headwater import errors
from headwater.api.auth import Unauthorized
from headwater.api.errors import envelope, status_of
from headwater.errors import HeadwaterError, NotEnoughCredit, UnknownModel

STATUS = {
    errors.InvalidInput: 400,
    errors.BadRecord: 400,
    errors.BadAdapter: 400,
    errors.BadSignature: 401,
    errors.NotEnoughCredit: 402,
    errors.Refused: 403,
    errors.Expired: 403,
    errors.TransactionReverted: 403,
    Unauthorized: 403,
    errors.NotFound: 404,
    errors.UnknownModel: 404,
    errors.MissingContent: 404,
    errors.ErasedContent: 404,
    errors.Conflict: 409,
    errors.DoubleSigning: 409,
    errors.VerificationFailed: 422,
    errors.CorruptContent: 422,
    errors.Incomplete: 422,
    errors.Unavailable: 503,
    errors.DiskFull: 503,
    errors.JobFailed: 503,
    errors.HeadwaterError: 500,
}


@pytest.mark.parametrize(("kind", "status"), STATUS.items(), ids=lambda v: getattr(v, "__name__", v))
def test_each_kind_has_its_status(kind: type[HeadwaterError], status: int) -> None:
    error = kind("the cause", "the next step")
    assert status_of(error) == status
    told = envelope(error)["error"]
    assert told["type"] == ("server_error" if status >= 500 else "invalid_request_error")
    assert (told["code"], told["next_step"]) == (kind.code, "the next step")
    assert told["message"] == "the cause. The next step."


def test_an_unknown_model_is_openais_error() -> None:
    told = envelope(UnknownModel("the model 'x' does not exist", "see /v1/models", param="model"))["error"]
    assert (told["code"], told["param"]) == ("model_not_found", "model")


def test_missing_credit_is_told_in_wei() -> None:
    told = envelope(NotEnoughCredit("the lane lacks 5 wei", "top it up", missing_wei="5"))["error"]
    assert (told["code"], told["missing_wei"], told["param"]) == ("not_enough_credit", "5", None)


@pytest.fixture
def failing(with_routes: Callable[..., Awaitable[TestClient[Any, Any]]]) -> Callable[..., Awaitable[Any]]:
    """A server whose paths all raise the given error."""

    def start(error: Exception) -> Awaitable[Any]:
        async def handler(request: web.Request) -> web.Response:
            raise error

        return with_routes([web.get(path, handler) for path in ("/v1/x", "/api/x", "/x")])

    return start


async def test_apis_get_the_envelope_and_pages_get_words(failing: Callable[..., Awaitable[Any]]) -> None:
    client = await failing(NotEnoughCredit("the lane lacks 5 wei", "top it up", missing_wei="5"))
    for path in ("/v1/x", "/api/x"):
        answer = await client.get(path)
        assert (answer.status, (await answer.json())["error"]["missing_wei"]) == (402, "5")
        assert answer.content_type == "application/json"
    page = await client.get("/x")
    assert (page.status, await page.text()) == (402, "the lane lacks 5 wei\n\nNext: top it up")


async def test_what_may_come_back_says_when_to_ask_again(failing: Callable[..., Awaitable[Any]]) -> None:
    answer = await (await failing(errors.Unavailable("busy", "wait"))).get("/v1/x")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")


@pytest.mark.parametrize(
    ("path", "status", "code"), [("/v1/nothing", 404, "not_found"), ("/v1/x", 405, "invalid_input")]
)
async def test_a_missing_route_or_method_is_told_in_the_same_form(
    failing: Callable[..., Awaitable[Any]], path: str, status: int, code: str
) -> None:
    client = await failing(errors.Conflict("c", "n"))
    answer = await client.post(path, data=b"{}")
    assert (answer.status, (await answer.json())["error"]["code"]) == (status, code)


async def test_a_body_beyond_the_limit_is_told_in_the_same_form(
    with_routes: Callable[..., Awaitable[TestClient[Any, Any]]],
) -> None:
    async def read(request: web.Request) -> web.Response:
        await request.read()
        return web.Response()

    client = await with_routes([web.post("/v1/x", read)], client_max_size=10)
    answer = await client.post("/v1/x", data=b"x" * 100)
    assert (answer.status, (await answer.json())["error"]["code"]) == (413, "invalid_input")
