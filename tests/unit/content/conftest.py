"""Stores under test: the embedded one, and both clients of a daemon, played by a front on loopback."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.content.ipfshttpclient_store import IpfsHttpClientStore
from headwater.content.kubo import KuboStore
from headwater.content.store import ContentStore, LocalStore
from headwater.testing.kubo_front import KuboFront


@pytest.fixture
def local(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def front(tmp_path: Path) -> Iterator[KuboFront]:
    with KuboFront(LocalStore(tmp_path / "daemon")) as front:
        yield front


@pytest.fixture(params=["local", "kubo", "ipfshttpclient"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ContentStore:
    if request.param == "local":
        return LocalStore(tmp_path / "store")
    if request.param == "ipfshttpclient" and importlib.util.find_spec("ipfshttpclient") is None:
        pytest.skip("the extra [ipfs] is not installed")
    front: KuboFront = request.getfixturevalue("front")
    if request.param == "kubo":
        return KuboStore(front.url, tmp_path / "spool", deadline_seconds=5)
    return IpfsHttpClientStore(front.multiaddr, tmp_path / "spool", deadline_seconds=5)
