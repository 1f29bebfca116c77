// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IStaking} from "../interfaces/IStaking.sol";
import {Signatures} from "../libraries/Signatures.sol";

/// @title Digests under other contracts' EIP-712 domains, computed here
/// @dev Asking the escrow for each digest would cost its calldata twice more than hashing it.
abstract contract ProviderSignatures {
    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant VERSION_HASH = keccak256("1");
    bytes32 private constant ESCROW_NAME_HASH = keccak256("Headwater CreditEscrow");
    bytes32 private constant LEDGER_NAME_HASH = keccak256("Headwater AttributionLedger");

    /// @notice Whose keys sign for whom.
    IStaking public immutable staking;

    address private immutable _escrow;
    address private immutable _ledger;

    constructor(address escrow_, address ledger_, IStaking staking_) {
        _escrow = escrow_;
        _ledger = ledger_;
        staking = staking_;
    }

    /// @dev Whether a key that was ever registered for `provider` signed this struct under CreditEscrow.
    function _isByProvider(address provider, bytes32 structHash, bytes calldata signature) internal view returns (bool) {
        address key = Signatures.recover(_digest(ESCROW_NAME_HASH, _escrow, structHash), signature);
        return staking.isProviderKey(provider, key);
    }

    /// @dev The key that signed this struct under AttributionLedger, or zero.
    function _ledgerSigner(bytes32 structHash, bytes calldata signature) internal view returns (address) {
        return Signatures.recover(_digest(LEDGER_NAME_HASH, _ledger, structHash), signature);
    }

    function _digest(bytes32 nameHash, address verifier, bytes32 structHash) private view returns (bytes32) {
        bytes32 separator = keccak256(abi.encode(DOMAIN_TYPEHASH, nameHash, VERSION_HASH, block.chainid, verifier));
        return keccak256(abi.encodePacked(hex"1901", separator, structHash));
    }
}
