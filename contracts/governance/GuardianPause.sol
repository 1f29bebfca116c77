// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IGuardianPause} from "../interfaces/IGuardianPause.sol";

/// @title The guardian's bounded pause, see {IGuardianPause}
/// @dev Who inherits says where the end of a pause is kept, so that it can share a slot that is read anyway.
abstract contract GuardianPause is IGuardianPause, AccessManaged {
    /// @notice The longest pause, and the least time between two: far less than what makes a ledger terminal.
    uint64 public constant MAX_PAUSE_SECONDS = 7 days;

    /// @inheritdoc IGuardianPause
    /// @custom:role GUARDIAN
    function pause(uint64 forSeconds) external restricted {
        if (forSeconds == 0 || forSeconds > MAX_PAUSE_SECONDS) revert WrongPauseLength(forSeconds, MAX_PAUSE_SECONDS);
        uint64 last = pausedUntil();
        if (last != 0 && block.timestamp < uint256(last) + MAX_PAUSE_SECONDS) {
            revert PauseTooSoon(uint256(last) + MAX_PAUSE_SECONDS);
        }
        uint64 until = uint64(block.timestamp) + forSeconds;
        emit Paused(until);
        _setPausedUntil(until);
    }

    /// @inheritdoc IGuardianPause
    /// @custom:role GUARDIAN
    function unpause() external restricted {
        if (block.timestamp >= pausedUntil()) revert NotPaused();
        emit Unpaused();
        _setPausedUntil(uint64(block.timestamp));
    }

    /// @inheritdoc IGuardianPause
    function pausedUntil() public view virtual returns (uint64);

    function _setPausedUntil(uint64 until) internal virtual;

    function _requireNotPaused() internal view {
        uint64 until = pausedUntil();
        if (block.timestamp < until) revert PausedUntil(until);
    }
}
