"""Brownie compiles and deploys the same sources, and one contribution goes all the way in.

Run by `scripts/brownie_env brownie test`. Depth is in tests/contracts, which needs no Brownie.
"""

import pytest
from eth_account import Account
from scripts.deploy import deploy

import brownie
from brownie import accounts, chain, web3

LICENSE = b"\x11" * 32
METADATA = b"\x22" * 32
ROOT = b"\x33" * 32
CONTRIBUTION = [
    ("datanetId", "bytes32"),
    ("contributor", "address"),
    ("recordsRoot", "bytes32"),
    ("recordCount", "uint32"),
    ("licenseDigest", "bytes32"),
    ("metadataDigest", "bytes32"),
    ("salt", "bytes32"),
    ("deadline", "uint64"),
]


@pytest.fixture(scope="module")
def suite():
    return deploy(accounts[0])


def sign(log, key, values):
    """The contributor's EIP-712 signature, 65 bytes."""
    domain = {
        "name": "Headwater ContributionLog",
        "version": "1",
        "chainId": chain.id,
        "verifyingContract": log.address,
    }
    types = {"Contribution": [{"name": name, "type": kind} for name, kind in CONTRIBUTION]}
    message = dict(zip((name for name, _ in CONTRIBUTION), values, strict=True))
    return bytes(Account.sign_typed_data(key, domain, types, message).signature)


def test_every_contract_is_deployed(suite):
    assert len(suite) == 14
    for contract in suite.values():
        assert len(web3.eth.get_code(contract.address)) > 100


def test_the_operator_mints_and_nobody_else(suite):
    token = suite["CreditToken"]
    token.mint(accounts[5], 10**18, {"from": accounts[0]})
    assert token.balanceOf(accounts[5]) == 10**18
    with brownie.reverts(f"AccessManagedUnauthorized: {accounts[5].address.lower()}"):
        token.mint(accounts[5], 10**18, {"from": accounts[5]})


def test_a_signed_contribution_is_anchored_once(suite):
    registry, log = suite["DatanetRegistry"], suite["ContributionLog"]
    registry.create(b"\x01" * 32, (LICENSE, 0, 0), METADATA, {"from": accounts[1]})
    datanet_id = registry.datanetIdOf(accounts[1], b"\x01" * 32)
    contributor = Account.from_key(b"\x07" * 32)
    deadline = chain.time() + 3_600
    values = (bytes(datanet_id), contributor.address, ROOT, 3, LICENSE, METADATA, b"\x44" * 32, deadline)
    signature = sign(log, contributor.key, values)

    receipt = log.anchor(b"\x00" * 32, values, signature, {"from": accounts[2]})

    event = receipt.events["ContributionAnchored"]
    assert event["contributor"] == contributor.address
    assert event["recordCount"] == 3
    assert log.headsOf(datanet_id)[0] == event["head"]
    with brownie.reverts(f"AlreadyAnchored: {bytes(event['contributionId'])}"):
        log.anchor(b"\x00" * 32, values, signature, {"from": accounts[2]})
