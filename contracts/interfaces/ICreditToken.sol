// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";

/// @title The unit of account: credits with 18 decimals
/// @notice A plain ERC-20 with EIP-2612 permits; no fee, no hook, no rebasing. On a devnet a faucet mints it.
interface ICreditToken is IERC20, IERC20Permit {
    /// @notice Creates credits out of nothing; a devnet's faucet only.
    /// @param account The receiver.
    /// @param amountWei The credits in wei, 1e18 to one credit.
    function mint(address account, uint256 amountWei) external;
}
