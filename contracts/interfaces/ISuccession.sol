// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title A pointer to the contract that takes over
/// @notice Contracts here never change. A new version stands at another address; the old one names it and goes on
/// working, so that nobody has to move and nothing owed is lost (PROTOCOL.md §8).
interface ISuccession {
    /// @notice Another contract takes over from here on.
    event SuccessorSet(address indexed successor);

    /// @notice A successor is another contract that stands.
    error NotASuccessor(address given);

    /// @notice Names the contract that takes over; the admin of ProtocolAccess only, in production the timelock.
    function setSuccessor(address next) external;

    /// @notice The contract that takes over; zero: none.
    function successor() external view returns (address);
}
