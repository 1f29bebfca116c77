// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {ISuccession} from "../interfaces/ISuccession.sol";

/// @title Where a contract's work goes on, see {ISuccession}
abstract contract Succession is ISuccession, AccessManaged {
    /// @inheritdoc ISuccession
    address public successor;

    /// @inheritdoc ISuccession
    /// @custom:role ADMIN
    function setSuccessor(address next) external restricted {
        if (next == address(this) || next.code.length == 0) revert NotASuccessor(next);
        successor = next;
        emit SuccessorSet(next);
    }
}
