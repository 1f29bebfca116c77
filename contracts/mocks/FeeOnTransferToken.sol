// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A token that keeps one wei of every transfer: what the escrow must refuse
contract FeeOnTransferToken is ERC20("Fee", "FEE") {
    /// @notice Anyone mints.
    function mint(address account, uint256 amountWei) external {
        _mint(account, amountWei);
    }

    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (from != address(0) && to != address(0)) super._update(to, address(0), 1);
    }
}
