"""SIGKILL at any moment: every acknowledged transaction is there afterwards, whole blocks only."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from headwater.chain.embedded import EmbeddedChain, Genesis
from headwater.testing.chains import RICH, LocalSigner
from headwater.types import address_bytes

MINER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from headwater.chain.embedded import EmbeddedChain, Genesis
    from headwater.chain.fees import Fees
    from headwater.chain.signed import Unsigned
    from headwater.testing.chains import RICH, LocalSigner
    from headwater.types import Wei, address_bytes

    alice, bob = LocalSigner("alice"), LocalSigner("bob")
    chain = EmbeddedChain(Path(sys.argv[1]), Genesis(31337, {alice.address: RICH}, fixed_start=1_700_000_000))
    nonce = chain.reader.nonce(chain.reader.head(), address_bytes(alice.address))
    pay = Unsigned(31337, bob.address, b"", Wei(1), 21_000, Fees(Wei(3 * 10**9), Wei(10**8)))
    while True:
        chain.submit(alice.sign_transaction(pay.dictionary(nonce)))
        nonce += 1
        print(nonce, chain.advance(1), flush=True)
    """
)


@pytest.mark.parametrize("acknowledged", [1, 6, 23])
def test_every_acknowledged_block_survives_a_kill(tmp_path: Path, acknowledged: int) -> None:
    process = subprocess.Popen([sys.executable, "-c", MINER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(acknowledged):
        line = process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    line = process.stdout.read().strip().rsplit("\n", 1)[-1] or line  # what was said before it died counts too
    process.wait()
    process.stdout.close()
    transactions, seconds = (int(word) for word in line.split())

    alice, bob = LocalSigner("alice"), LocalSigner("bob")
    chain = EmbeddedChain(tmp_path, Genesis(31337, {alice.address: RICH}, fixed_start=1_700_000_000))
    head = chain.reader.head()
    nonce = chain.reader.nonce(head, address_bytes(alice.address))
    assert nonce in (transactions, transactions + 1)
    assert chain.advanced_seconds in (seconds, seconds + 1)
    assert head.block_number == nonce == chain.reader.balance(head, address_bytes(bob.address))
    for number in range(head.block_number + 1):  # each block, its transactions and receipts can be read
        header = chain.reader.header_by_number(number)
        assert len(chain.reader.receipts(header)) == min(number, 1)
    chain.mine_empty()
    chain.close()
