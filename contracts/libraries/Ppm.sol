// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Parts per million of an amount
/// @notice Shares, quorum and slashes are all in ppm; this is the one place that rounds.
library Ppm {
    /// @notice The whole.
    uint256 internal constant WHOLE = 1_000_000;

    /// @notice floor(amountWei * sharePpm / 10^6): what is paid out.
    /// @param amountWei At most 2^128 - 1, as all amounts here.
    /// @param sharePpm At most the whole.
    function floorOf(uint256 amountWei, uint256 sharePpm) internal pure returns (uint256) {
        return (amountWei * sharePpm) / WHOLE;
    }

    /// @notice ceil(amountWei * sharePpm / 10^6): what is taken, and what must be reached.
    /// @param amountWei At most 2^128 - 1, as all amounts here.
    /// @param sharePpm At most the whole.
    function ceilOf(uint256 amountWei, uint256 sharePpm) internal pure returns (uint256) {
        return (amountWei * sharePpm + WHOLE - 1) / WHOLE;
    }
}
