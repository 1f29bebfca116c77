"""What a model is: its tensors by name, type, shape and bytes, whatever order or file they came in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import InvalidInput
from headwater.protocol.tensors import TensorItem, tensor_digest

ITEMS: list[TensorItem] = [
    ("a.weight", "F32", (2, 2), bytes(16)),
    ("b.weight", "BF16", (4,), b"\1" * 8),
    ("b.bias", "I8", (), b"\7"),
]


@given(st.permutations(ITEMS))
def test_order_does_not_count(items: list[TensorItem]) -> None:
    assert tensor_digest(items) == tensor_digest(iter(ITEMS))


def test_a_view_is_its_bytes() -> None:
    name, dtype, shape, data = ITEMS[0]
    assert tensor_digest([(name, dtype, shape, memoryview(bytes(data)))]) == tensor_digest(ITEMS[:1])


@pytest.mark.parametrize(
    "other",
    [
        ("a.weigh", "F32", (2, 2), bytes(16)),
        ("a.weight", "I32", (2, 2), bytes(16)),
        ("a.weight", "F32", (4,), bytes(16)),
        ("a.weight", "F32", (2, 2), bytes(15) + b"\1"),
    ],
    ids=["name", "dtype", "shape", "bytes"],
)
def test_each_part_counts(other: TensorItem) -> None:
    assert tensor_digest([other]) != tensor_digest(ITEMS[:1])


def test_a_missing_tensor_counts() -> None:
    assert len({tensor_digest(ITEMS[:n]) for n in range(4)}) == 4


def test_bytes_cannot_move_from_one_tensor_to_the_next() -> None:
    assert tensor_digest([("a", "I8", (2,), b"xy"), ("b", "I8", (1,), b"z")]) != tensor_digest(
        [("a", "I8", (2,), b"x"), ("b", "I8", (1,), b"yz")]
    )


def test_a_name_twice_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"'a\.weight' occurs twice"):
        tensor_digest([ITEMS[0], ITEMS[0]])
