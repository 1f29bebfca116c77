// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";

/// @title Credits in production: one for one unit of another token that lies here
/// @notice A plain ERC-20 with EIP-2612 permits. Nobody mints without bringing the same amount, and nobody but a holder
/// burns. A token that lowers balances by itself would leave credits without cover: do not wrap one.
interface ICreditWrapper is IERC20, IERC20Permit {
    /// @notice Units came in, as many credits were made.
    event Wrapped(address indexed from, address indexed to, uint256 amount);
    /// @notice Credits were burned, as many units left.
    event Unwrapped(address indexed from, address indexed to, uint256 amount);

    error ZeroAddress();
    /// @notice Neither nobody nor the wrapper itself holds credits.
    error WrongReceiver(address to);
    error ZeroAmount();
    /// @notice Credits have 18 decimals, and so must have what stands behind them.
    error WrongDecimals(uint8 given);
    /// @notice The token moved another amount than asked: tokens that take a fee are refused.
    error TransferMismatch(uint256 moved, uint256 expected);

    /// @notice Pulls so many units from the caller and makes as many credits for `to`.
    function wrap(address to, uint256 amountWei) external;

    /// @notice Burns so many credits of the caller and sends as many units to `to`.
    function unwrap(address to, uint256 amountWei) external;

    /// @notice What stands behind the credits.
    function underlying() external view returns (IERC20);
}
