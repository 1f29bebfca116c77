"""The no-code way in a real browser: overview, form, live progress, evaluation, deployment, a name in the pool.

Chain, training, attestation and pool are real, on a tiny base; only the evaluation's scores are scripted.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import web

from headwater.api.app import build_app, serving
from headwater.service.node import Node
from headwater.testing.browser import Tab, chromium, find_chromium
from headwater.testing.tiny_node import tiny_node

TRAINING_SECONDS = 240
STEP_SECONDS = 120
PHONE = (390, 844)
ENDED = "['done', 'failed'].includes(document.getElementById('job').dataset.state)"


@pytest.fixture(scope="module")
def program() -> str:
    found = find_chromium()
    if found is None and not os.environ.get("CI"):
        pytest.skip("no chromium is on PATH: apt-get install chromium")
    assert found is not None, "CI must look at the pages: apt-get install chromium"
    return found


@pytest.fixture(scope="module")
def node(program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with tiny_node(tmp_path_factory.mktemp("home")) as made:
        made.jobs.start()
        yield made


@pytest.fixture
async def url(node: Node) -> AsyncIterator[str]:
    async with serving(build_app(node), "127.0.0.1", 0, "api_port") as made:
        yield made


@pytest.fixture
async def tab(program: str, tmp_path: Path) -> AsyncIterator[Tab]:
    async with chromium(program, tmp_path / "profile") as opened:
        await opened.shape(1_000, 800)
        yield opened


async def require_fits(tab: Tab) -> None:
    """Nothing is wider than a phone, in the dark too."""
    await tab.shape(*PHONE, dark=True)
    assert await tab.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    await tab.shape(1_000, 800)


async def ended(tab: Tab, seconds: int) -> str:
    """The page's words once the job has ended, and it must have ended well."""
    await tab.until(ENDED, seconds)
    text = await tab.text()
    assert await tab.evaluate("document.getElementById('job').dataset.state") == "done", text
    return text


@pytest.mark.slow
async def test_from_the_overview_to_a_name_that_the_pool_holds(tab: Tab, url: str, node: Node) -> None:
    await tab.open(f"{url}/")
    assert "Plants" in await tab.text()
    await require_fits(tab)

    await tab.open(f"{url}/train")
    assert await tab.evaluate("document.querySelector('form button').disabled"), "a stranger cannot start anything"
    await tab.open(f"{url}/train?token={node.token}")
    assert await tab.evaluate("location.search") == "", "the token does not stay in the address"
    await tab.choose("input[value=smoke]")
    await tab.fill("[name=training_records]", "many")
    await tab.click("form button")
    assert "training records must be a whole number" in (await tab.text()).lower()
    assert await tab.evaluate("document.querySelector('[name=training_records]').value") == "many"
    await require_fits(tab)
    await tab.fill("[name=training_records]", "17")
    await tab.fill("[name=epochs]", "5")
    await tab.fill("[name=data_split]", "random")
    await tab.click("form button")

    await tab.until("document.getElementById('state').textContent !== 'queued'", STEP_SECONDS)
    assert "25 steps" in await ended(tab, TRAINING_SECONDS)
    await tab.until("!document.getElementById('curve').hidden", STEP_SECONDS)
    await require_fits(tab)

    await tab.click("form[action$=evaluate] button")
    assert "6 held-out records: useful" in await ended(tab, STEP_SECONDS)
    await require_fits(tab)
    await tab.fill("[name=name]", "no-slash")
    await tab.click("form[action*=deploy] button")
    assert "cannot be a name" in await tab.text()
    await tab.fill("[name=name]", "model-owner/plants")
    await tab.click("form[action*=deploy] button")

    text = await ended(tab, STEP_SECONDS)
    assert "model-owner/plants is active" in text
    assert "one validator on this machine: not independent" in text
    await require_fits(tab)
    assert node.pool is not None
    assert "model-owner/plants" in [m.name for m in node.pool.models()]
    assert await tab.evaluate("fetch('/train', {method: 'HEAD'}).then(a => a.ok)")
    # The two forms that were refused on purpose; no script of ours failed, and no policy was hurt.
    assert all("400" in problem for problem in tab.problems), tab.problems


async def test_everything_can_be_reached_with_the_keyboard(tab: Tab, url: str, node: Node) -> None:
    await tab.open(f"{url}/train?token={node.token}")
    reached = []
    for _ in range(20):
        await tab.press("Tab")
        reached.append(await tab.evaluate("document.activeElement.name || document.activeElement.textContent.trim()"))
        outline = await tab.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", f"{reached[-1]} has the focus and does not show it"
        if reached[-1] == "Start training":
            break
    assert reached[0] == "To the content"
    assert [n for n in ("base", "snapshot", "preset", "Start training") if n not in reached] == []


async def test_a_page_of_another_port_cannot_send_our_forms(tab: Tab, url: str, node: Node) -> None:
    """The browser adds the cookie, for it is the same site; the form's origin gives it away."""

    async def evil(request: web.Request) -> web.Response:
        fields = "<input name='preset' value='smoke'><button>Win a prize</button>"
        return web.Response(
            text=f"<form method='post' action='{url}/train'>{fields}</form>", content_type="text/html"
        )

    app = web.Application()
    app.add_routes([web.get("/", evil)])
    async with serving(app, "127.0.0.1", 0, "api_port") as other:
        await tab.open(f"{url}/train?token={node.token}")
        await tab.open(other)
        before = len(node.jobs.rows.all())
        await tab.click("button")
        assert "not from a page of this node" in await tab.text()
    assert len(node.jobs.rows.all()) == before
