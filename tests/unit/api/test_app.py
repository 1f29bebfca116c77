"""Listening: a port that is taken is named with the setting that chooses another."""

from __future__ import annotations

import socket

import pytest
from aiohttp import web

from headwater.api.app import serving
from headwater.errors import PortInUse, Unavailable


async def test_a_port_in_use_is_named_with_the_setting_that_changes_it() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=f"port {port} on 127.0.0.1 is in use") as refused:
            async with serving(web.Application(), "127.0.0.1", port, "api_port"):
                pass
    assert "HEADWATER_API_PORT" in refused.value.next_step
    async with serving(web.Application(), "127.0.0.1", port, "api_port") as url:
        assert url == f"http://127.0.0.1:{port}", "and once it is free it is taken"


async def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(Unavailable, match=r"cannot listen on 192\.0\.2\.1"):
        async with serving(web.Application(), "192.0.2.1", 0, "api_port"):
            pass
