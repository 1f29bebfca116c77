"""How many receipts a second the signer's own process signs, each behind a flushed row of the signing log."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from headwater.protocol.receipt import Receipt
from headwater.protocol.typed_data import Domain
from headwater.signing.launch import SignerProcess
from headwater.signing.paths import SignerPaths
from headwater.storage.home import open_home
from headwater.types import Digest, Wei, address


def run(quick: bool) -> Mapping[str, Any]:
    count = 10 if quick else 500
    domain = Domain("CreditEscrow", 31337, address("0x" + "22" * 20))
    with tempfile.TemporaryDirectory() as folder:
        home = open_home(Path(folder) / "home")
        with SignerProcess(SignerPaths.of(home.path), "bench", kdf="light", listen=True) as signer:
            signer.client.create("hot")
            first = _receipt()
            started = time.perf_counter()
            for i in range(count):
                signer.client.sign_typed("hot", replace(first, sequence=i + 1), domain)
            seconds = time.perf_counter() - started
    return {"signatures": count, "signatures_per_second": round(count / seconds, 1)}


def _receipt() -> Receipt:
    zero, one = Digest(bytes(32)), Digest(b"\1" * 32)
    user, provider = address("0x" + "33" * 20), address("0x" + "44" * 20)
    numbers = (1, 1, 10, 10, Wei(1), Wei(1))
    return Receipt(one, one, 1, zero, user, provider, 0, one, *numbers, one, one, one, one, 1_700_000_000)
