"""EIP-712 from one definition: a frozen dataclass is the type, the encoding, the digest and the wallet's payload.

In: a subclass of `TypedStruct` whose fields carry Solidity types. Out: its type string, its struct hash, the digest
to sign under a `Domain`, and the JSON-RPC payload that wallets show. Member names are the mixedCase of the Python
names. All members are atomic and of fixed size, so the encoding is the type hash followed by 32-byte words; the
tests hold it against eth-account's encoder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from eth_utils import keccak

from headwater.errors import NotFound
from headwater.protocol.codec import Document, field_types, solidity_of
from headwater.types import Address, Digest, address_bytes

VERSION: Final = "1"
DOMAIN_TYPE: Final = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"


@dataclass(frozen=True, slots=True)
class Domain:
    """EIP-712 domain of one contract on one chain; the name is 'Headwater ' + the contract's name."""

    contract: str
    chain_id: int
    verifying_contract: Address

    @property
    def name(self) -> str:
        return f"Headwater {self.contract}"

    def separator(self) -> Digest:
        words = [
            keccak(text=DOMAIN_TYPE),
            keccak(text=self.name),
            keccak(text=VERSION),
            self.chain_id.to_bytes(32, "big"),
            bytes(12) + address_bytes(self.verifying_contract),
        ]
        return Digest(keccak(b"".join(words)))


def mixed_case(name: str) -> str:
    """`records_root` -> `recordsRoot`."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


# Asked for with every hash, and fixed by the class.
_MEMBERS: dict[type, list[tuple[str, str, str]]] = {}
_TYPE_HASHES: dict[type, Digest] = {}


class TypedStruct(Document):
    """Base of everything signed, and of every leaf: its digest is the EIP-712 struct hash (keccak-256)."""

    __slots__ = ()

    @classmethod
    def members(cls) -> list[tuple[str, str, str]]:
        """(Python name, Solidity name, Solidity type) in order."""
        if cls in _MEMBERS:
            return _MEMBERS[cls]
        out = []
        for name, annotation in field_types(cls).items():
            marker = solidity_of(annotation)
            assert marker is not None, f"{cls.__name__}.{name} has no Solidity type"
            out.append((name, mixed_case(name), marker.name))
        _MEMBERS[cls] = out
        return out

    @classmethod
    def type_string(cls) -> str:
        return f"{cls.__name__}({','.join(f'{kind} {name}' for _, name, kind in cls.members())})"

    @classmethod
    def type_hash(cls) -> Digest:
        if cls not in _TYPE_HASHES:
            _TYPE_HASHES[cls] = Digest(keccak(text=cls.type_string()))
        return _TYPE_HASHES[cls]

    def canonical_bytes(self) -> bytes:
        """Type hash and members as 32-byte big-endian words: what is hashed."""
        words = [bytes(self.type_hash())]
        words += [_word(getattr(self, name), kind) for name, _, kind in self.members()]
        return b"".join(words)

    def digest(self) -> Digest:
        """The struct hash, independent of chain and contract."""
        return Digest(keccak(self.canonical_bytes()))

    def signing_digest(self, domain: Domain) -> Digest:
        """What a key signs: keccak(0x1901 ‖ domain separator ‖ struct hash)."""
        return Digest(keccak(b"\x19\x01" + domain.separator() + self.digest()))

    def values(self) -> tuple[Any, ...]:
        """The members in order, as web3 passes them for a Solidity struct."""
        return tuple(getattr(self, name) for name, _, _ in self.members())

    def wallet_payload(self, domain: Domain) -> dict[str, Any]:
        """The argument of eth_signTypedData_v4."""
        kind = type(self).__name__
        return {
            "types": {
                "EIP712Domain": [
                    {"name": "name", "type": "string"},
                    {"name": "version", "type": "string"},
                    {"name": "chainId", "type": "uint256"},
                    {"name": "verifyingContract", "type": "address"},
                ],
                kind: [{"name": name, "type": solidity} for _, name, solidity in self.members()],
            },
            "primaryType": kind,
            "domain": {
                "name": domain.name,
                "version": VERSION,
                "chainId": domain.chain_id,
                "verifyingContract": domain.verifying_contract,
            },
            "message": {name: _wallet_value(getattr(self, python)) for python, name, _ in self.members()},
        }


_SIGNABLE: dict[str, tuple[type[TypedStruct], str]] = {}
Struct = TypeVar("Struct", bound=TypedStruct)


def signed_by_contract(contract: str) -> Callable[[type[Struct]], type[Struct]]:
    """Class decorator: this struct is signed under the domain of `contract`."""

    def register(cls: type[Struct]) -> type[Struct]:
        _SIGNABLE[cls.__name__] = (cls, contract)
        return cls

    return register


def signable(name: str) -> tuple[type[TypedStruct], str]:
    """The struct of that name and the contract whose domain it is signed under."""
    try:
        return _SIGNABLE[name]
    except KeyError:
        raise NotFound(f"no signed type is called {name!r}", "use one of " + ", ".join(sorted(_SIGNABLE))) from None


def signable_names() -> list[str]:
    return sorted(_SIGNABLE)


def _word(value: Any, kind: str) -> bytes:
    if kind == "bytes32":
        return bytes(value)
    if kind == "address":
        return bytes(12) + address_bytes(value)
    return int(value).to_bytes(32, "big")


def _wallet_value(value: Any) -> Any:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, int) and not isinstance(value, bool) and value > 2**53 - 1:
        return str(value)
    return value
