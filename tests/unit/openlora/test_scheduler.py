from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from headwater.openlora.scheduler import FairQueue


def always(_: str) -> bool:
    return True


def drain(queue: FairQueue[str]) -> list[str]:
    out = []
    while (item := queue.pop(always)) is not None:
        out.append(item)
    return out


def test_tenants_take_turns_and_keep_their_own_order() -> None:
    queue: FairQueue[str] = FairQueue()
    for tenant, item in [("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"), ("c", "c1"), ("b", "b2")]:
        queue.push(tenant, item)
    assert len(queue) == 6
    assert drain(queue) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_one_that_does_not_fit_is_not_passed_by() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.push("a", "big")
    queue.push("b", "small")
    assert queue.pop(lambda item: item != "big") is None
    assert drain(queue) == ["big", "small"]


def test_taking_out_leaves_the_others_in_order() -> None:
    queue: FairQueue[str] = FairQueue()
    for item in ("x1", "y1", "x2", "y2"):
        queue.push("t", item)
    queue.push("u", "x3")
    assert queue.take_out(lambda item: item.startswith("x")) == ["x1", "x2", "x3"]
    assert drain(queue) == ["y1", "y2"]


@given(st.lists(st.sampled_from("abc"), max_size=30))
def test_property_no_tenant_is_served_twice_while_another_waits(tenants: list[str]) -> None:
    items = [(tenant, number) for number, tenant in enumerate(tenants)]
    queue: FairQueue[tuple[str, int]] = FairQueue()
    for item in items:
        queue.push(item[0], item)
    order = []
    while (taken := queue.pop(lambda _: True)) is not None:
        order.append(taken)
    assert sorted(order) == sorted(items)
    for first, second in pairwise(order):
        if first[0] == second[0]:
            left = order[order.index(second) :]
            assert {tenant for tenant, _ in left} == {first[0]}
