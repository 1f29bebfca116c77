"""Who is next: waiting requests, one queue a tenant, the tenants in turn.

In: items with their tenant. Out: the next one. Strict turns: if the next does not fit yet, nothing smaller passes it
by, so nothing starves. Knows nothing of what an item is.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """Round-robin over tenants, first come first served within one. Not thread-safe."""

    def __init__(self) -> None:
        self._queues: OrderedDict[str, deque[Item]] = OrderedDict()

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def push(self, tenant: str, item: Item) -> None:
        self._queues.setdefault(tenant, deque()).append(item)

    def pop(self, fits: Callable[[Item], bool]) -> Item | None:
        """Take the next item if it fits now; None otherwise, and then the same one is next again."""
        if not self._queues:
            return None
        tenant, queue = next(iter(self._queues.items()))
        if not fits(queue[0]):
            return None
        item = queue.popleft()
        del self._queues[tenant]
        if queue:
            self._queues[tenant] = queue
        return item

    def take_out(self, wanted: Callable[[Item], bool]) -> list[Item]:
        """Remove and return every item that is wanted, wherever it stands."""
        taken: list[Item] = []
        for tenant, queue in list(self._queues.items()):
            taken += [item for item in queue if wanted(item)]
            kept = deque(item for item in queue if not wanted(item))
            if kept:
                self._queues[tenant] = kept
            else:
                del self._queues[tenant]
        return taken
