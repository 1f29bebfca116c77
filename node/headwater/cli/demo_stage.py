"""Where the demo happens: a home of its own, a node and a proxy as real processes, a journal of what is done.

In: commands as a person would type them. Out: their JSON. Each is printed with a sentence of why; what the journal
holds is not done twice, so that the same command after a kill goes on.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from rich.console import Console
from typer.exceptions import TyperException

from headwater.api.client import NodeClient
from headwater.config import load_config
from headwater.errors import InvalidInput, Unavailable
from headwater.storage.files import write_durably
from headwater.storage.home import open_home, read_api_token

START_SECONDS: Final = 180
JOURNAL: Final = "demo.json"
FREE_PORTS: Final = ("rpc_port", "api_port", "proxy_port")


class Stage:
    """Open for the time of one telling; leaving it stops node and proxy."""

    def __init__(self, home: Path, seed: str, as_json: bool, quick: bool) -> None:
        self.home = open_home(home).path
        self.console = Console(stderr=as_json, soft_wrap=True, highlight=False)
        self._prepare(seed, quick)
        self.config = load_config({"home": self.home}, os.environ)
        self._journal: dict[str, Any] = self._read_journal()
        self._node: subprocess.Popen[bytes] | None = None
        self._proxies: dict[str, subprocess.Popen[bytes]] = {}
        self.seconds: dict[str, float] = self._journal.get("seconds", {})
        """Step -> seconds, summed over its calls: "model train", "datanet contribute", …"""

    # -- commands ----------------------------------------------------------------------------------------------

    def say(self, text: str = "") -> None:
        self.console.print(text, markup=False)

    def chapter(self, title: str) -> None:
        self.say(f"\n== {title}")

    def run(self, why: str, *arguments: str) -> dict[str, Any]:
        """Run one public command, in this process, as if typed; its JSON. A step that is done is not repeated."""
        key = shlex.join(arguments)
        self.say(f"\n{why}\n  $ headwater {key}")
        if key in self._journal["done"]:
            self.say("  (done before)")
            return dict(self._journal["done"][key])
        started = time.monotonic()
        code, result = self.invoke(*arguments)
        seconds = time.monotonic() - started
        if code != 0:
            error = result.get("error", {})
            raise Unavailable(
                f"`headwater {key}` ended with {code}: {error.get('cause', result)}",
                "run the demo again with the same home and seed; it goes on where it was",
            )
        self.note(key, result)
        self.took(" ".join(arguments[:2] if arguments[0] != "chat" else arguments[:1]), seconds)
        return result

    def invoke(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """Exit code and JSON of one command."""
        from headwater.cli.main import build  # the demo is a part of the tree that it calls

        captured = io.StringIO()
        with contextlib.redirect_stdout(captured):
            try:
                code = build()([*arguments, "--home", str(self.home), "--json"], standalone_mode=False) or 0
            except TyperException as error:
                raise InvalidInput(str(error), "report it: the demo calls a command wrongly") from None
        text = captured.getvalue()
        return code, json.loads(text) if text.strip() else {}

    def once(self, key: str, work: Callable[[], Any]) -> Any:
        """Do something that is no step of its own once, and remember its result."""
        if key not in self._journal["done"]:
            self.note(key, work())
        return self._journal["done"][key]

    def note(self, key: str, result: Any) -> None:
        self._journal["done"][key] = result
        self._keep()

    def took(self, step: str, seconds: float) -> None:
        self.seconds[step] = round(self.seconds.get(step, 0.0) + seconds, 2)
        self._journal["seconds"] = self.seconds
        self._keep()

    def _keep(self) -> None:
        write_durably(self.home / JOURNAL, json.dumps(self._journal).encode())

    def wait_for_attributions(self) -> None:
        """Until the node has attributed every receipt."""
        client = NodeClient(self.config.api_url, read_api_token(open_home(self.home)))
        started = time.monotonic()
        while client.get("/api/status")["attributions_waiting"]:
            if time.monotonic() > started + START_SECONDS:
                raise Unavailable("the attributions are not there in time", f"read {self.home / 'logs' / 'node.log'}")
            time.sleep(0.5)
        self.took("attribution after the answers", time.monotonic() - started)

    # -- processes ---------------------------------------------------------------------------------------------

    def start_node(self) -> None:
        """`headwater up` in a process of its own; waits until it answers."""
        self.say("\nOne node: chain, signer, store, database, pool, workers and API\n  $ headwater up")
        self._node = self._spawn("node.log", "up")
        client = NodeClient(self.config.api_url, read_api_token(open_home(self.home)))
        node, started = self._node, time.monotonic()
        client.wait_until_up(START_SECONDS, lambda: node.poll() is None)
        self.took("up", time.monotonic() - started)

    def restart_node(self) -> None:
        """After roles were registered: the node looks for its provider when it starts."""
        self._stop(self._node)
        self.start_node()

    def start_proxy(self, lane_id: str) -> str:
        """`headwater proxy` for one lane; its base URL."""
        self.say(f"\nThe user's proxy holds the session key\n  $ headwater proxy --lane {lane_id}")
        proxy = self._spawn("proxy.log", "proxy", "--lane", lane_id)
        self._proxies[lane_id] = proxy
        end = time.monotonic() + START_SECONDS
        while not _listens(self.config.host, self.config.proxy_port):
            if proxy.poll() is not None or time.monotonic() > end:
                raise Unavailable("the proxy did not come up", f"read {self.home / 'logs' / 'proxy.log'}")
            time.sleep(0.2)
        return f"{self.config.proxy_url}/v1"

    def _spawn(self, log_name: str, *arguments: str) -> subprocess.Popen[bytes]:
        log: IO[bytes]
        with (self.home / "logs" / log_name).open("ab") as log:
            command = [sys.executable, "-m", "headwater", *arguments, "--home", str(self.home)]
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)

    @staticmethod
    def _stop(process: subprocess.Popen[bytes] | None) -> None:
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for proxy in self._proxies.values():
            self._stop(proxy)
        self._stop(self._node)

    # -- the home ----------------------------------------------------------------------------------------------

    def _prepare(self, seed: str, quick: bool) -> None:
        """Write the demo home's own configuration once; another seed needs another home."""
        path = self.home / "headwater.toml"
        password = self.home / "password"
        if path.exists():
            known = load_config({"home": self.home}, {})
            if known.seed != seed:
                raise InvalidInput(f"the home {self.home} belongs to another seed", "name another home with --home")
            return
        write_durably(password, (secrets.token_urlsafe(24) + "\n").encode())
        ports = "".join(f"{name} = {_free_port()}\n" for name in FREE_PORTS)
        text = f'keystore_kdf = "light"\npassword_file = "{password}"\nseed = "{seed}"\n{ports}'
        write_durably(path, text.encode())

    def _read_journal(self) -> dict[str, Any]:
        path = self.home / JOURNAL
        return dict(json.loads(path.read_bytes())) if path.exists() else {"done": {}, "seconds": {}}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0
