// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";

/// @title Who may call the few restricted functions
/// @notice OpenZeppelin's AccessManager with this protocol's roles named on chain. Which function needs which role is
/// written in the function's NatSpec, collected in its contract's artefact under `roles`, and set here when deploying.
/// @dev No role can move another account's funds. In production the admin is a timelock.
contract ProtocolAccess is AccessManager {
    /// @notice OpenZeppelin's ADMIN_ROLE: grants roles, assigns functions to them, names successors.
    uint64 public constant ADMIN = ADMIN_ROLE;

    /// @notice Mints credits on devnets; granted to nobody in production.
    uint64 public constant FAUCET = 1;

    /// @notice Stops inflows and commits, never claims, withdrawals or exits.
    uint64 public constant GUARDIAN = 2;

    /// @notice Sets parameters within bounds that the code fixes.
    uint64 public constant PARAMETER = 3;

    /// @param initialAdmin The account that grants roles and assigns functions to them.
    constructor(address initialAdmin) AccessManager(initialAdmin) {
        emit RoleLabel(ADMIN, "ADMIN");
        emit RoleLabel(FAUCET, "FAUCET");
        emit RoleLabel(GUARDIAN, "GUARDIAN");
        emit RoleLabel(PARAMETER, "PARAMETER");
    }
}
