// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What the guardian may stop, and for how long
/// @notice A pause stops inflows and commits. What is owed, lent or bonded leaves at any time: no claim, withdrawal,
/// close or exit looks at it. It ends by itself, and the next one waits, so that no guardian can stop a contract for
/// good.
interface IGuardianPause {
    /// @notice The guardian stopped inflows and commits until then (seconds since the Unix epoch).
    event Paused(uint64 until);
    /// @notice The guardian ended a pause early.
    event Unpaused();

    /// @notice This function is stopped until then.
    error PausedUntil(uint256 until);
    /// @notice Nothing is paused.
    error NotPaused();
    /// @notice A pause lasts between one second and `most`.
    error WrongPauseLength(uint64 given, uint64 most);
    /// @notice The last pause is too recent.
    error PauseTooSoon(uint256 notBefore);

    /// @notice Stops inflows and commits for so many seconds; the guardian only.
    function pause(uint64 forSeconds) external;

    /// @notice Ends a pause; the guardian only.
    function unpause() external;

    /// @notice End of the last pause; in the past: nothing is paused.
    function pausedUntil() external view returns (uint64);
}
