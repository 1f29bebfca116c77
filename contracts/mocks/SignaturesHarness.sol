// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Signatures} from "../libraries/Signatures.sol";

/// @title The library {Signatures}, callable
contract SignaturesHarness {
    function recover(bytes32 digest, bytes calldata signature) external pure returns (address) {
        return Signatures.recover(digest, signature);
    }

    function requireKey(address expected, bytes32 digest, bytes calldata signature) external pure {
        Signatures.requireKey(expected, digest, signature);
    }

    function isValidNow(address account, bytes32 digest, bytes calldata signature) external view returns (bool) {
        return Signatures.isValidNow(account, digest, signature);
    }
}
