// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @title Who signed a digest
/// @notice A key's signature is r ‖ s ‖ v (65 bytes, v 27 or 28) or the 64 bytes of ERC-2098; high s, zero and any other
/// length recover nobody. The Python twin is headwater.protocol.signatures.
/// @dev A key is asked before code: the key of an EIP-7702 account still controls it, whatever its delegate implements.
/// Digests must be EIP-712 digests that name the account, so that one wallet's signature says nothing about another's.
library Signatures {
    /// @notice `signature` is not by `expected`; it recovers `recovered` (zero: nobody).
    error WrongSigner(address expected, address recovered);

    /// @notice What a wallet contract may spend on {isValidNow}, so that no wallet can burn its relayer's gas.
    uint256 internal constant ERC1271_GAS = 100_000;

    /// @notice The account whose key signed `digest`, or zero.
    function recover(bytes32 digest, bytes calldata signature) internal pure returns (address signer) {
        if (signature.length == 64) {
            // ERC-2098: the parity rides on the highest bit of s.
            (signer, , ) = ECDSA.tryRecover(digest, bytes32(signature[:32]), bytes32(signature[32:]));
        } else {
            (signer, , ) = ECDSA.tryRecoverCalldata(digest, signature);
        }
    }

    /// @notice Reverts with {WrongSigner} unless the key of `expected` signed `digest`.
    function requireKey(address expected, bytes32 digest, bytes calldata signature) internal pure {
        address recovered = recover(digest, signature);
        if (recovered == address(0) || recovered != expected) revert WrongSigner(expected, recovered);
    }

    /// @notice Whether `account` stands behind `digest` now: by its key, else by its code (ERC-1271).
    /// @dev Warning: what code says can change later, so the answer is only good for an effect in this transaction.
    function isValidNow(address account, bytes32 digest, bytes calldata signature) internal view returns (bool) {
        if (account == address(0)) return false;
        if (recover(digest, signature) == account) return true;
        if (account.code.length == 0) return false;
        bytes memory question = abi.encodeCall(IERC1271.isValidSignature, (digest, signature));
        bool answered;
        bytes32 answer;
        // At most one word of the answer is copied: a wallet cannot make the caller pay for a long one.
        assembly ("memory-safe") {
            mstore(0x00, 0)
            answered := staticcall(ERC1271_GAS, account, add(question, 0x20), mload(question), 0x00, 0x20)
            answered := and(answered, gt(returndatasize(), 0x1f))
            answer := mload(0x00)
        }
        return answered && answer == bytes32(IERC1271.isValidSignature.selector);
    }
}
