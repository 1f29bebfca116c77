// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title A validator key and its weight in one word: key << 96 | weight
/// @notice Half the calldata, log and memory of two words; stakes fit 96 bits by {IStaking}.
library Votes {
    /// @notice Both in one word.
    function pack(address key, uint96 weight) internal pure returns (uint256) {
        return (uint256(uint160(key)) << 96) | weight;
    }

    /// @notice The signer.
    function keyOf(uint256 vote) internal pure returns (address) {
        return address(uint160(vote >> 96));
    }

    /// @notice The signer's stake in the set, in wei.
    function weightOf(uint256 vote) internal pure returns (uint96) {
        return uint96(vote);
    }
}
