"""A headless Chromium that a test drives, over the DevTools protocol: no driver, no download.

In: the program's path, a folder for its profile. Out: one tab that opens pages, fills in forms as a person does and
says what it shows. Speaks https://chromedevtools.github.io/devtools-protocol/ over a websocket on loopback.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
START_SECONDS: Final = 60
STEP_SECONDS: Final = 0.1
OPTIONS: Final = (
    "--headless=new",
    "--no-sandbox",  # in a container there is no user namespace to build one from; it opens pages of ours only
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)


def find_chromium() -> str | None:
    """The browser on PATH, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Tab:
    """One page. Every method raises TimeoutError or RuntimeError with what the page said."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._last = 0
        self.problems: list[str] = []
        """What the browser's console holds against the pages so far: policy violations, errors of scripts."""

    async def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol; its result."""
        self._last += 1
        await self._socket.send_json({"id": self._last, "method": method, "params": parameters})
        while True:
            said = json.loads(await self._socket.receive_str(timeout=START_SECONDS))
            if said.get("id") == self._last:
                if "error" in said:
                    raise RuntimeError(f"{method}: {said['error']}")
                result: dict[str, Any] = said["result"]
                return result
            self._note(said)

    def _note(self, said: dict[str, Any]) -> None:
        if said.get("method") == "Log.entryAdded" and said["params"]["entry"]["level"] == "error":
            self.problems.append(said["params"]["entry"]["text"])
        if said.get("method") == "Runtime.exceptionThrown":
            self.problems.append(str(said["params"]["exceptionDetails"]))

    async def open(self, url: str) -> None:
        """Go there as if typed into the address bar, and wait until it is loaded."""
        before = await self._loaded_at()
        await self.command("Page.navigate", url=url)
        await self._until_loaded(before)

    async def click(self, selector: str) -> None:
        """Press a button or link that leads to another page, and wait for that page."""
        before = await self._loaded_at()
        await self._on(selector, "e.click()")
        await self._until_loaded(before)

    async def fill(self, selector: str, value: str) -> None:
        await self._on(selector, f"e.value = {json.dumps(value)}")

    async def choose(self, selector: str) -> None:
        """Tick a box or a radio button."""
        await self._on(selector, "e.checked = true")

    async def evaluate(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = await self.command("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    async def text(self) -> str:
        """What the page shows, as a person reads it."""
        return str(await self.evaluate("document.body.innerText"))

    async def until(self, script: str, seconds: float) -> None:
        """Wait until an expression holds, over reloads of the page."""
        for _ in range(int(seconds / STEP_SECONDS)):
            try:
                if await self.evaluate(script):
                    return
            except RuntimeError:  # the page is being replaced by its successor
                pass
            await asyncio.sleep(STEP_SECONDS)
        raise TimeoutError(f"{script} did not come true; the page says: {await self.text()}")

    async def shape(self, width: int, height: int, dark: bool = False) -> None:
        """Look through a window of that many pixels, in the light or the dark."""
        await self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.command("Emulation.setEmulatedMedia", features=[scheme])

    async def screenshot(self, path: Path) -> None:
        """The whole page as a PNG."""
        image = await self.command("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(image["data"]))

    async def press(self, key: str) -> None:
        """One key, e.g. 'Tab' or 'Enter'."""
        code = {"Tab": 9, "Enter": 13}[key]
        extra = {"text": "\r"} if key == "Enter" else {}
        names = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        await self.command("Input.dispatchKeyEvent", type="keyDown", **names, **extra)
        await self.command("Input.dispatchKeyEvent", type="keyUp", **names)

    async def _on(self, selector: str, action: str) -> None:
        found = f"document.querySelector({json.dumps(selector)})"
        await self.evaluate(f"(() => {{ const e = {found}; if (!e) throw Error('no {selector}'); {action} }})()")

    async def _loaded_at(self) -> Any:
        return await self.evaluate("performance.timeOrigin")

    async def _until_loaded(self, before: Any) -> None:
        await self.until(f"performance.timeOrigin !== {before} && document.readyState === 'complete'", 30)


@asynccontextmanager
async def chromium(program: str, profile: Path) -> AsyncIterator[Tab]:
    """Start the browser with one tab; it has ended when the context has. Raises RuntimeError, TimeoutError."""
    process = await asyncio.create_subprocess_exec(
        program,
        *OPTIONS,
        f"--user-data-dir={profile}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        port = await asyncio.wait_for(_port(process), START_SECONDS)
        async with aiohttp.ClientSession() as session:
            async with session.put(f"http://127.0.0.1:{port}/json/new?about:blank") as answer:
                target = await answer.json(content_type=None)
            async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=64 * 2**20) as socket:
                tab = Tab(socket)
                for domain in ("Page", "Runtime", "Log"):
                    await tab.command(f"{domain}.enable")
                yield tab
    finally:
        process.terminate()
        await process.wait()


async def _port(process: asyncio.subprocess.Process) -> int:
    assert process.stderr is not None
    seen = []
    async for line in process.stderr:
        seen.append(line.decode(errors="replace"))
        if found := re.search(r"DevTools listening on ws://[^:]+:(\d+)/", seen[-1]):
            return int(found.group(1))
    raise RuntimeError("the browser did not start: " + "".join(seen[-5:]))
