"""Stop strings in a stream of text pieces.

In: pieces of text as they become certain. Out: the text up to the first stop string, never a letter of the stop
itself: what may be the beginning of one is held back until the next piece decides.
"""

from __future__ import annotations

from collections.abc import Sequence


class StopStrings:
    """One answer's text on its way out."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.stopped = False

    def push(self, piece: str) -> str:
        """What may be shown now. After a stop was met (`stopped`), nothing."""
        if self.stopped:
            return ""
        text = self._held + piece
        found = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)]
        keep = self._possible_beginning(text)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def finish(self) -> str:
        """What was held back, as no stop can follow any more."""
        held, self._held = self._held, ""
        return held

    def _possible_beginning(self, text: str) -> int:
        longest = max((len(s) for s in self._stops), default=1) - 1
        for size in range(min(longest, len(text)), 0, -1):
            if any(len(s) > size and text.endswith(s[:size]) for s in self._stops):
                return size
        return 0
