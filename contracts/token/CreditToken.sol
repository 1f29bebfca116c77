// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {ICreditToken} from "../interfaces/ICreditToken.sol";

/// @title Credits of a devnet, see {ICreditToken}
contract CreditToken is ICreditToken, ERC20Permit, AccessManaged {
    /// @param access The ProtocolAccess that knows who holds the role FAUCET.
    constructor(
        address access
    ) ERC20("Headwater Credit", "HWC") ERC20Permit("Headwater CreditToken") AccessManaged(access) {}

    /// @inheritdoc ICreditToken
    /// @custom:role FAUCET
    function mint(address account, uint256 amountWei) external restricted {
        _mint(account, amountWei);
    }

    /// @inheritdoc IERC20Permit
    function nonces(address owner) public view override(ERC20Permit, IERC20Permit) returns (uint256) {
        return super.nonces(owner);
    }
}
