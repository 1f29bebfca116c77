"""Which name means which adapter: `owner/name`, `owner/name@digest12`, aliases, and the base's own name.

In: publications and alias switches. Out: the digest behind a name, or UnknownModel. A request is resolved once and
carries the digest from then on, so a switch never touches what is in flight. All state is one immutable mapping that
is replaced whole: a reader sees the world before a change or after it, never between. Nothing is kept on disk here;
the chain's registry is the truth that this is filled from.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from headwater.errors import Conflict, InvalidInput, UnknownModel
from headwater.types import Digest, hex0x

_PART: Final = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?"
_NAME: Final = re.compile(rf"{_PART}/{_PART}")
_PINNED: Final = re.compile(rf"(?P<name>{_PART}/{_PART})@(?P<prefix>[0-9a-f]{{12}})")
_ALIAS: Final = re.compile(_PART)


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a name meant at one moment. `adapter` None = the base alone."""

    name: str
    """The exact, pinned name: `owner/name@digest12`, or the base's."""
    adapter: Digest | None


@dataclass(frozen=True, slots=True)
class _State:
    published: Mapping[str, tuple[Digest, ...]] = field(default_factory=lambda: MappingProxyType({}))
    current: Mapping[str, Digest] = field(default_factory=lambda: MappingProxyType({}))
    aliases: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def require_model_name(name: str) -> None:
    """What `publish` asks of a name, for those who fix one before anything is published. Raises InvalidInput."""
    _require(_NAME, name, "a model's name is owner/name, each of letters, digits, dots, dashes, underscores")


def digest12(digest: Digest) -> str:
    """The first 12 hexadecimal digits: what `owner/name@digest12` ends in."""
    return hex0x(digest)[2:14]


class Registry:
    """Names of one pool. Safe to use from several threads."""

    def __init__(self, base_name: str) -> None:
        self._base_name = base_name
        self._state = _State()
        self._writing = threading.Lock()

    def publish(self, name: str, digest: Digest) -> str:
        """Make `digest` the current adapter of `owner/name`; earlier ones stay reachable by their pin.

        Publishing the same again changes nothing. Returns the pinned name. Raises InvalidInput for a malformed name,
        Conflict if another digest of this name begins with the same 12 digits.
        """
        require_model_name(name)
        with self._writing:
            state = self._state
            known = state.published.get(name, ())
            if any(d != digest and digest12(d) == digest12(digest) for d in known):
                raise Conflict(f"{name}@{digest12(digest)} is another adapter already", "publish under another name")
            published = known if digest in known else (*known, digest)
            self._state = replace(
                state,
                published=MappingProxyType({**state.published, name: published}),
                current=MappingProxyType({**state.current, name: digest}),
            )
        return f"{name}@{digest12(digest)}"

    def switch(self, alias: str, target: str) -> Resolution:
        """Point `alias` (one word, no slash) at a published name, atomically. Raises UnknownModel for the target."""
        _require(_ALIAS, alias, "an alias is one word of letters, digits, dots, dashes, underscores")
        if alias == self._base_name:
            raise Conflict(f"{alias} is the base's name", "choose another alias")
        with self._writing:
            if target in self._state.aliases:
                raise InvalidInput(f"{target} is an alias itself", "point at owner/name or owner/name@digest12")
            resolution = self.resolve(target)
            self._state = replace(self._state, aliases=MappingProxyType({**self._state.aliases, alias: target}))
        return resolution

    def withdraw(self, name: str, digest: Digest | None = None) -> None:
        """Forget one adapter of `owner/name`, or all of them, and the aliases that then point at nothing.

        If the current one goes, the one published last before it becomes current. Raises UnknownModel.
        """
        with self._writing:
            state = self._state
            known = state.published.get(name, ())
            if not known or (digest is not None and digest not in known):
                raise self._unknown(name)
            left = tuple(d for d in known if digest is not None and d != digest)
            published = {k: v for k, v in state.published.items() if k != name}
            current = {k: v for k, v in state.current.items() if k != name}
            if left:
                published[name] = left
                current[name] = state.current[name] if state.current[name] in left else left[-1]
            pins = {f"{name}@{digest12(d)}" for d in left} | ({name} if left else set())
            self._state = _State(
                MappingProxyType(published),
                MappingProxyType(current),
                MappingProxyType(
                    {k: v for k, v in state.aliases.items() if v.partition("@")[0] != name or v in pins}
                ),
            )

    def resolve(self, name: str) -> Resolution:
        """What `name` means now. Raises UnknownModel."""
        state = self._state
        name = state.aliases.get(name, name)
        if name == self._base_name:
            return Resolution(name, None)
        if digest := state.current.get(name):
            return Resolution(f"{name}@{digest12(digest)}", digest)
        if pinned := _PINNED.fullmatch(name):
            for digest in state.published.get(pinned["name"], ()):
                if digest12(digest) == pinned["prefix"]:
                    return Resolution(name, digest)
        raise self._unknown(name)

    def names(self) -> tuple[str, ...]:
        """The base, every `owner/name`, every alias: what a list of models shows."""
        state = self._state
        return (self._base_name, *sorted(state.current), *sorted(state.aliases))

    @staticmethod
    def _unknown(name: str) -> UnknownModel:
        return UnknownModel(
            f"the model {name[:120]!r} does not exist here", "list the models that are served", model=name[:120]
        )


def _require(pattern: re.Pattern[str], text: str, words: str) -> None:
    if not pattern.fullmatch(text):
        raise InvalidInput(f"{text[:120]!r} cannot be a name", words)
