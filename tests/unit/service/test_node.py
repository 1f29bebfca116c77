"""One node's life: it starts alone, stops as one, and is afterwards where it was."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from headwater.config import Config
from headwater.errors import HeadwaterError, HomeInUse, NotFound
from headwater.service.node import running_node
from headwater.testing import examples

PASSWORD = "correct horse battery staple"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.mark.slow
async def test_a_node_is_alone_on_its_home_and_restarts_where_it_was(tmp_path: Path) -> None:
    config = Config(tmp_path / "home", rpc_port=free_port(), keystore_kdf="light")
    said: list[str] = []
    async with running_node(config, PASSWORD, said.append, "no such base") as node:
        assert any("no base model" in line for line in said)
        assert (node.pool, node.inference, node.attributing) == (None, None, None)
        with pytest.raises(NotFound, match="no jobs of kind 'train'"):
            node.jobs.submit("train", {})
        with pytest.raises(HomeInUse):
            async with running_node(config, PASSWORD, said.append, "no such base"):
                pass
        datanet = await asyncio.to_thread(node.datanets.create, "operator", "Kept", examples.TERMS)
        contracts, height = node.bench.contracts, await asyncio.to_thread(node.bench.chain.block)
        operator = node.bench.address("operator")
        queued = node.jobs.rows.submit("train", {"left": "over"})
    with pytest.raises(HeadwaterError):
        async with running_node(config, "another password", said.append, "no such base"):
            pass
    async with running_node(config, PASSWORD, said.append, "no such base") as node:
        assert node.bench.contracts == contracts and node.bench.address("operator") == operator
        assert await asyncio.to_thread(node.bench.chain.block) == height
        assert [c.datanet_id for c in await asyncio.to_thread(node.datanets.list)] == [datanet]
        assert node.jobs.rows.get(queued).request == {"left": "over"}
