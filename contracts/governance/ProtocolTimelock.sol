// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";

/// @title Who decides in production, and only after everybody could see it coming
/// @notice OpenZeppelin's TimelockController as the admin of ProtocolAccess: it names successors, payees of bases and
/// the bounded parameters. Its own delay is bounded, and it administers itself, so that nobody shortens the delay faster
/// than it lasts.
contract ProtocolTimelock is TimelockController {
    /// @notice The bounds of the delay at deployment.
    uint256 public constant LEAST_DELAY_SECONDS = 1 days;
    uint256 public constant MOST_DELAY_SECONDS = 30 days;

    /// @notice The delay is out of its bounds.
    error DelayOutOfBounds(uint256 delaySeconds);

    /// @param delaySeconds Between a proposal and its execution.
    /// @param proposer Proposes and cancels; anyone executes what is ripe.
    constructor(
        uint256 delaySeconds,
        address proposer
    ) TimelockController(delaySeconds, _only(proposer), _only(address(0)), address(0)) {
        if (delaySeconds < LEAST_DELAY_SECONDS || delaySeconds > MOST_DELAY_SECONDS) {
            revert DelayOutOfBounds(delaySeconds);
        }
    }

    function _only(address account) private pure returns (address[] memory accounts) {
        accounts = new address[](1);
        accounts[0] = account;
    }
}
