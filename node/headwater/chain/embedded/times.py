"""When the next block is: two rules, one for a chain that follows the clock and one that repeats itself.

In: the parent's time, the height, the sum of all advances. Out: seconds since the Unix epoch, and how long to wait
first. Pure but for the clock that it is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from headwater.clock import Clock
from headwater.errors import Unavailable

MAX_AHEAD_SECONDS: Final = 5
"""Blocks have whole, rising seconds; a burst of them may run this far ahead of the clock."""
CLOCK_WENT_BACK_SECONDS: Final = 60
"""Further ahead than this no burst leads: somebody set the clock back."""


class BlockTimes(Protocol):
    def time_of(self, height: int, parent_time: int, advanced_seconds: int) -> int:
        """The time that block `height` would get now; always after `parent_time`."""
        ...

    def seconds_to_wait(self, parent_time: int, advanced_seconds: int) -> int:
        """How long the next block has to wait; 0 = mine now."""
        ...


@dataclass(frozen=True, slots=True)
class ClockTimes:
    """The later of parent + 1 and clock + advances."""

    clock: Clock

    def time_of(self, height: int, parent_time: int, advanced_seconds: int) -> int:
        return max(parent_time + 1, self.clock.now() + advanced_seconds)

    def seconds_to_wait(self, parent_time: int, advanced_seconds: int) -> int:
        ahead = parent_time + 1 - (self.clock.now() + advanced_seconds)
        if ahead > MAX_AHEAD_SECONDS + CLOCK_WENT_BACK_SECONDS:
            raise Unavailable(
                f"the clock of this machine stands {ahead} seconds before the chain's last block",
                "set the clock right, then repeat",
                seconds_behind=ahead,
            )
        return max(0, ahead - MAX_AHEAD_SECONDS)


@dataclass(frozen=True, slots=True)
class SeededTimes:
    """start + height + advances, whatever the clock says: the same story gets the same hashes."""

    start: int

    def time_of(self, height: int, parent_time: int, advanced_seconds: int) -> int:
        return self.start + height + advanced_seconds

    def seconds_to_wait(self, parent_time: int, advanced_seconds: int) -> int:
        return 0
