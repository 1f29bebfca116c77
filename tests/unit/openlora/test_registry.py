"""Names mean digests; a switch is atomic; what is unknown is said to be."""

from __future__ import annotations

import threading

import pytest

from headwater.errors import Conflict, InvalidInput, UnknownModel
from headwater.openlora.registry import Registry, Resolution, digest12
from headwater.types import Digest

ONE, TWO = Digest(b"\x11" * 32), Digest(b"\x22" * 32)


@pytest.fixture
def registry() -> Registry:
    return Registry("smollm2-135m")


def test_a_name_means_its_newest_adapter_and_a_pin_its_own(registry: Registry) -> None:
    first = registry.publish("ada/drugs", ONE)
    second = registry.publish("ada/drugs", TWO)
    assert (first, second) == ("ada/drugs@111111111111", "ada/drugs@222222222222")
    assert registry.resolve("ada/drugs") == Resolution(second, TWO)
    assert registry.resolve(first) == Resolution(first, ONE)


def test_publishing_again_makes_an_old_adapter_current_and_forgets_none(registry: Registry) -> None:
    first = registry.publish("ada/drugs", ONE)
    second = registry.publish("ada/drugs", TWO)
    registry.publish("ada/drugs", ONE)
    assert registry.resolve("ada/drugs").adapter == ONE
    assert registry.resolve(second).adapter == TWO
    assert registry.resolve(first).adapter == ONE


def test_the_base_has_a_name_and_no_adapter(registry: Registry) -> None:
    assert registry.resolve("smollm2-135m") == Resolution("smollm2-135m", None)


def test_an_alias_switches_to_another_adapter(registry: Registry) -> None:
    pin = registry.publish("ada/drugs", ONE)
    registry.publish("ada/drugs", TWO)
    registry.switch("default", pin)
    assert registry.resolve("default") == Resolution(pin, ONE)
    registry.switch("default", "ada/drugs")
    assert registry.resolve("default").adapter == TWO
    registry.switch("default", "smollm2-135m")
    assert registry.resolve("default").adapter is None


@pytest.mark.parametrize(
    "name", ["", "nobody/nothing", "ada/drugs@000000000000", "ada/drugs@1111", "default", "ada/drugs@11111111111G"]
)
def test_unknown_names_are_unknown_models(registry: Registry, name: str) -> None:
    registry.publish("ada/drugs", ONE)
    with pytest.raises(UnknownModel) as caught:
        registry.resolve(name)
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize(
    "name",
    ["noslash", "a/b/c", "../etc/passwd", "a/..", "/b", "a/", "a/b c", "a/b\n", "a/" + "x" * 65, ".a/b", "ä/b"],
)
def test_names_that_could_be_paths_or_markup_are_refused(registry: Registry, name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be a name"):
        registry.publish(name, ONE)


def test_an_alias_needs_an_existing_target_that_is_no_alias(registry: Registry) -> None:
    registry.publish("ada/drugs", ONE)
    registry.switch("default", "ada/drugs")
    with pytest.raises(UnknownModel):
        registry.switch("other", "ada/nothing")
    with pytest.raises(InvalidInput, match="alias itself"):
        registry.switch("other", "default")
    with pytest.raises(Conflict):
        registry.switch("smollm2-135m", "ada/drugs")
    with pytest.raises(InvalidInput):
        registry.switch("ada/other", "ada/drugs")


def test_two_adapters_of_one_name_with_the_same_pin_conflict(registry: Registry) -> None:
    registry.publish("ada/drugs", ONE)
    with pytest.raises(Conflict):
        registry.publish("ada/drugs", Digest(ONE[:6] + b"\x99" * 26))


def test_withdrawing_takes_pins_and_aliases_along(registry: Registry) -> None:
    pin = registry.publish("ada/drugs", ONE)
    registry.publish("bob/other", TWO)
    registry.switch("default", pin)
    registry.withdraw("ada/drugs")
    assert registry.names() == ("smollm2-135m", "bob/other")
    for name in ("ada/drugs", pin, "default"):
        with pytest.raises(UnknownModel):
            registry.resolve(name)
    with pytest.raises(UnknownModel):
        registry.withdraw("ada/drugs")


def test_withdrawing_one_adapter_leaves_the_others_of_its_name(registry: Registry) -> None:
    first, second = registry.publish("ada/drugs", ONE), registry.publish("ada/drugs", TWO)
    for alias, target in (("newest", "ada/drugs"), ("first", first), ("second", second)):
        registry.switch(alias, target)
    registry.withdraw("ada/drugs", TWO)
    assert registry.resolve("newest") == registry.resolve("first") == Resolution(first, ONE)
    for name in (second, "second"):
        with pytest.raises(UnknownModel):
            registry.resolve(name)
    with pytest.raises(UnknownModel):
        registry.withdraw("ada/drugs", TWO)
    registry.withdraw("ada/drugs", ONE)
    assert registry.names() == ("smollm2-135m",)


def test_withdrawing_an_old_adapter_leaves_the_current_one(registry: Registry) -> None:
    registry.publish("ada/drugs", ONE)
    second = registry.publish("ada/drugs", TWO)
    registry.withdraw("ada/drugs", ONE)
    assert registry.resolve("ada/drugs") == Resolution(second, TWO)


def test_the_one_published_last_before_takes_its_place(registry: Registry) -> None:
    three = Digest(b"\x33" * 32)
    for digest in (ONE, TWO, three):
        registry.publish("ada/drugs", digest)
    registry.withdraw("ada/drugs", three)
    assert registry.resolve("ada/drugs").adapter == TWO


def test_a_reader_never_sees_a_half_made_switch(registry: Registry) -> None:
    pins = {registry.publish("ada/drugs", d): d for d in (ONE, TWO)}
    registry.switch("default", "ada/drugs")
    done = threading.Event()

    def switch() -> None:
        for _ in range(500):
            for pin in pins:
                registry.switch("default", pin)
        done.set()

    writer = threading.Thread(target=switch)
    writer.start()
    while not done.is_set():
        seen = registry.resolve("default")
        assert seen.adapter is not None
        assert seen.name == f"ada/drugs@{digest12(seen.adapter)}"
    writer.join()
