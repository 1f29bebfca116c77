// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ICreditWrapper} from "../interfaces/ICreditWrapper.sol";

/// @title Credits of a production chain, see {ICreditWrapper}
/// @dev The one contract here that calls a token which it does not know, hence the guard: between the two looks at a
/// balance nobody may wrap or unwrap.
contract CreditWrapper is ICreditWrapper, ERC20Permit, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @inheritdoc ICreditWrapper
    IERC20 public immutable underlying;

    constructor(IERC20Metadata underlying_) ERC20("Headwater Credit", "HWC") ERC20Permit("Headwater CreditWrapper") {
        if (address(underlying_) == address(0)) revert ZeroAddress();
        if (underlying_.decimals() != decimals()) revert WrongDecimals(underlying_.decimals());
        underlying = underlying_;
    }

    /// @inheritdoc ICreditWrapper
    function wrap(address to, uint256 amountWei) external nonReentrant {
        _requireSome(to, amountWei);
        uint256 before = underlying.balanceOf(address(this));
        underlying.safeTransferFrom(msg.sender, address(this), amountWei);
        uint256 afterwards = underlying.balanceOf(address(this));
        uint256 moved = afterwards < before ? 0 : afterwards - before;
        if (moved != amountWei) revert TransferMismatch(moved, amountWei);
        emit Wrapped(msg.sender, to, amountWei);
        _mint(to, amountWei);
    }

    /// @inheritdoc ICreditWrapper
    function unwrap(address to, uint256 amountWei) external nonReentrant {
        _requireSome(to, amountWei);
        _burn(msg.sender, amountWei);
        emit Unwrapped(msg.sender, to, amountWei);
        uint256 before = underlying.balanceOf(address(this));
        underlying.safeTransfer(to, amountWei);
        uint256 afterwards = underlying.balanceOf(address(this));
        uint256 moved = before < afterwards ? 0 : before - afterwards;
        if (moved != amountWei) revert TransferMismatch(moved, amountWei);
    }

    /// @inheritdoc IERC20Permit
    function nonces(address owner) public view override(ERC20Permit, IERC20Permit) returns (uint256) {
        return super.nonces(owner);
    }

    function _requireSome(address to, uint256 amountWei) private view {
        if (to == address(0) || to == address(this)) revert WrongReceiver(to);
        if (amountWei == 0) revert ZeroAmount();
    }
}
