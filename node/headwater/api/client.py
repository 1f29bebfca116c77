"""Talking to a node from a command: JSON over HTTP, errors that come back as the errors they were.

In: a URL and the home's token. Out: parsed JSON, or the same HeadwaterError that the node raised.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from headwater import errors
from headwater.errors import HeadwaterError, JobFailed, Unavailable
from headwater.protocol.canonical import parse_json

TIMEOUT_SECONDS: Final = 120


def _tree(kind: type[HeadwaterError]) -> Iterator[type[HeadwaterError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _tree(below)


class NodeClient:
    """Blocking client of one node."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url.rstrip("/")
        self._token = token

    def get(self, path: str) -> Any:
        return self._ask("GET", path, None)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._ask("POST", path, json.dumps(body, ensure_ascii=False).encode())

    def run_job(self, kind: str, request: Mapping[str, Any], on_event: Callable[[Any], None]) -> Any:
        """Submit a job and follow it to its end; its result. Raises JobFailed with reason and log lines."""
        row = self.post("/api/jobs", {"kind": kind, "request": request})
        after = 0
        while row["state"] not in ("done", "failed", "cancelled"):
            page = self.get(f"/api/jobs/{row['job_id']}/events?after={after}")
            for item in page["events"]:
                after = item["sequence"]
                on_event(item["event"])
            row = {**row, "state": page["state"]} if not page["events"] else row
            if page["state"] in ("done", "failed", "cancelled") and not page["events"]:
                break
        row = self.get(f"/api/jobs/{row['job_id']}")
        if row["state"] != "done":
            raise JobFailed(
                row["reason"] or f"the job is {row['state']}", "run the command again", log_tail=row["log_tail"]
            )
        return {**row["result"], "job_id": row["job_id"]}

    def is_up(self) -> bool:
        try:
            self.get("/livez")
        except Unavailable:
            return False
        return True

    def wait_until_up(self, seconds: float, alive: Callable[[], bool] = lambda: True) -> None:
        """Raises Unavailable when the node is not there in time, or has ended."""
        end = time.monotonic() + seconds
        while not self.is_up():
            if time.monotonic() > end or not alive():
                raise Unavailable(f"the node at {self._url} did not come up", "read the node's log")
            time.sleep(0.2)

    def _ask(self, method: str, path: str, body: bytes | None) -> Any:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self._url + path, data=body, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
                return parse_json(answer.read(), f"the node's answer to {path}", floats=True)
        except urllib.error.HTTPError as error:
            raise _as_raised(error.read(), path) from None
        except (urllib.error.URLError, OSError) as error:
            raise Unavailable(
                f"no node answers at {self._url}: {error}", "start one with `headwater up`, on the same home"
            ) from None


def _as_raised(body: bytes, path: str) -> HeadwaterError:
    try:
        told = parse_json(body, f"the node's answer to {path}", floats=True)["error"]
        kind = next((k for k in _tree(errors.HeadwaterError) if k.code == told["code"]), errors.HeadwaterError)
        details = {k: v for k, v in told.items() if k not in ("code", "message", "type", "next_step")}
        cause = told["message"].removesuffix(".").removesuffix(_capital(told["next_step"])).rstrip(". ")
        return kind(cause, told["next_step"], **details)
    except (HeadwaterError, KeyError, TypeError):
        return Unavailable(f"the node answered {body[:200]!r}", "read the node's log")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
