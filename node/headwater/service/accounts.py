"""Money and roles: funding wallets, registering hot keys with their bonds.

In: wallets by name. Out: balances that moved, keys that the chain knows. A hot key proves its possession by signing
whose it is; a validator's key also fixes the ends of its two draw chains, whose secrets stay in this home.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import insert, select

from headwater.errors import Conflict
from headwater.protocol.draw import anchor_of, preimage_at
from headwater.protocol.staking import KeyRegistration, StakingRole
from headwater.service.workbench import Workbench
from headwater.storage.schema import settings
from headwater.types import ZERO_DIGEST, Address, Digest, Wei, address, digest, hex0x

DRAW_CHAIN_LENGTH: Final = 4_096
TOKEN: Final = "CreditToken"
STAKING: Final = "Staking"


@dataclass(frozen=True, slots=True)
class Balance:
    """What one account holds."""

    account: Address
    native_wei: Wei
    credit_wei: Wei


class Accounts:
    def __init__(self, bench: Workbench, operator: str = "operator") -> None:
        self._bench = bench
        self._operator = operator

    def balance(self, account: Address) -> Balance:
        credit = Wei(self._bench.call(TOKEN, "balanceOf", account))
        return Balance(account, self._bench.chain.balance(account), credit)

    def fund(self, account: Address, native_wei: int, credit_wei: int, intent: str) -> Balance:
        """Send native coin and mint credits from the operator's faucet; once per intent."""
        if native_wei:
            self._bench.transfer(self._operator, account, native_wei, f"{intent} native")
        if credit_wei:
            self._bench.send(self._operator, TOKEN, "mint", account, credit_wei, intent=f"{intent} credits")
        return self.balance(account)

    def approve(self, wallet: str, contract: str, amount_wei: int, why: str) -> None:
        """Let one of our contracts take `amount_wei` credits from a wallet, unless it may already.

        Asked of the chain and not of the outbox: what was given for the same reason before may be used up by now.
        """
        spender = self._bench.contract_address(contract)
        if self._bench.call(TOKEN, "allowance", self._bench.address(wallet), spender) >= amount_wei:
            return
        intent = f"approve {wallet} {contract} {why} after block {self._bench.chain.block().number}"
        self._bench.send(wallet, TOKEN, "approve", spender, amount_wei, intent=intent)

    def register_provider(self, owner: str, hot_key: str, stake_wei: int) -> Address:
        """Bond `owner` and let `hot_key` sign for it. Idempotent. Raises Conflict for a key with another past."""
        return self._register(owner, hot_key, stake_wei, StakingRole.PROVIDER)

    def register_validator(self, owner: str, hot_key: str, stake_wei: int) -> Address:
        return self._register(owner, hot_key, stake_wei, StakingRole.VALIDATOR)

    def _register(self, owner: str, hot_key: str, stake_wei: int, role: StakingRole) -> Address:
        key = self._bench.address(hot_key)
        if self._is_registered(owner, key, role):
            return key
        self.approve(owner, STAKING, stake_wei, role.name.lower())
        anchors = (ZERO_DIGEST, ZERO_DIGEST)
        if role is StakingRole.VALIDATOR:
            anchors = (self._anchor(hot_key, "epoch"), self._anchor(hot_key, "version"))
        registration = KeyRegistration(self._bench.address(owner), key, role.value, *anchors)
        possession = self._bench.signer.sign_typed(hot_key, registration, self._bench.domain(STAKING))
        if role is StakingRole.VALIDATOR:
            self._bench.send(
                owner,
                STAKING,
                "registerValidator",
                key,
                possession,
                stake_wei,
                anchors,
                intent=f"register validator {key}",
            )
        else:
            intent = f"register provider {key}"
            self._bench.send(owner, STAKING, "registerProvider", key, possession, stake_wei, intent=intent)
        return key

    def _is_registered(self, owner: str, key: Address, role: StakingRole) -> bool:
        """Whether the key signs for the owner in this role now. Raises Conflict if it never will."""
        known = self._bench.call(STAKING, "keyOf", key)
        holder, account = address(known["owner"]), self._bench.address(owner)
        if holder == address(bytes(20)):
            return False
        if holder != account:
            raise Conflict(f"the key {key} belongs to {holder}", "register another hot key")
        if known["role"] != role.value or not self._bench.call(STAKING, "isActive", account, role.value):
            raise Conflict(
                f"{key} was registered by {owner} before, and is no key of an active {role.name.lower()}",
                "register another hot key",
            )
        return True

    # -- draw chains -------------------------------------------------------------------------------------------

    def preimage(self, hot_key: str, kind: str, position: int) -> Digest:
        """The preimage that a validator reveals for draw number `position` of a chain ('epoch' or 'version')."""
        return preimage_at(self._secret(hot_key, kind), DRAW_CHAIN_LENGTH, position)

    def _anchor(self, hot_key: str, kind: str) -> Digest:
        return anchor_of(self._secret(hot_key, kind), DRAW_CHAIN_LENGTH)

    def _secret(self, hot_key: str, kind: str) -> Digest:
        """Drawn once and kept: without it a validator can no longer vote."""
        name = f"draw secret {kind} {self._bench.address(hot_key)}"
        values = {"name": name, "value": hex0x(self._bench.entropy.draw(name, 32))}
        self._bench.database.write(lambda c: c.execute(insert(settings).prefix_with("OR IGNORE").values(values)))
        where = settings.c.name == name
        return digest(
            self._bench.database.read(lambda c: c.execute(select(settings.c.value).where(where)).scalar_one())
        )
