// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @title A wallet contract: one key signs and sends for it, until it is told otherwise
contract WalletMock is IERC1271 {
    address public key;

    constructor(address key_) {
        key = key_;
    }

    function setKey(address key_) external {
        key = key_;
    }

    function execute(address target, bytes calldata data) external returns (bytes memory) {
        (bool done, bytes memory answer) = target.call(data);
        if (!done) {
            assembly ("memory-safe") {
                revert(add(answer, 0x20), mload(answer))
            }
        }
        return answer;
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        (address signer, , ) = ECDSA.tryRecoverCalldata(digest, signature);
        return signer == key ? IERC1271.isValidSignature.selector : bytes4(0xffffffff);
    }
}

/// @title A wallet contract that answers badly, in one of several ways
contract HostileWalletMock {
    /// @notice How it answers.
    enum Manner {
        Garbage,
        ShortAnswer,
        NoAnswer,
        Reverts,
        BurnsGas,
        LongAnswer,
        SelectorWithDirt
    }

    Manner public manner;

    constructor(Manner manner_) {
        manner = manner_;
    }

    function isValidSignature(bytes32, bytes calldata) external view {
        Manner how = manner;
        bytes32 good = bytes32(IERC1271.isValidSignature.selector);
        if (how == Manner.Reverts) revert("no");
        if (how == Manner.BurnsGas) while (true) {}
        uint256 size = how == Manner.ShortAnswer ? 4 : how == Manner.NoAnswer ? 0 : 32;
        if (how == Manner.Garbage) good = keccak256("garbage");
        if (how == Manner.SelectorWithDirt) good |= bytes32(uint256(1));
        if (how == Manner.LongAnswer) (good, size) = (0, 5_000);
        assembly ("memory-safe") {
            let answer := mload(0x40)
            mstore(answer, good)
            return(answer, size)
        }
    }
}
