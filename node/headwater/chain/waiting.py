"""Waiting as a seam: code that must let time pass asks for it, and a test decides that it has.

In: seconds. Out: nothing, later. Knows nothing of what is waited for.
"""

from __future__ import annotations

import time
from typing import Protocol


class Waiter(Protocol):
    def wait(self, seconds: float) -> None:
        """Return after about `seconds`."""
        ...


class SystemWaiter:
    def wait(self, seconds: float) -> None:
        time.sleep(seconds)
