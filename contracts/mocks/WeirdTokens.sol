// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A token that behaves as it is told, so that one test asks every contract what it does about it
contract WeirdToken is ERC20("Weird", "WRD") {
    /// @notice How it behaves from now on.
    enum Manner {
        Plain,
        NoReturn,
        ReturnsFalse,
        TakesFee,
        GivesBonus,
        MovesNothing,
        Reverts,
        BurnsGas,
        RevertsOnZero
    }

    Manner public manner;
    mapping(address account => bool) public isBlocked;
    uint8 private immutable _decimals;

    error Blocked(address account);
    error Nothing();

    constructor(uint8 decimals_) {
        _decimals = decimals_;
    }

    function mint(address account, uint256 amountWei) external {
        _mint(account, amountWei);
    }

    function setManner(Manner manner_) external {
        manner = manner_;
    }

    function block_(address account, bool isBlocked_) external {
        isBlocked[account] = isBlocked_;
    }

    /// @notice Lowers a balance, as a rebase does.
    function rebase(address account, uint256 lessWei) external {
        _burn(account, lessWei);
    }

    function transfer(address to, uint256 value) public override returns (bool) {
        return _behave(msg.sender, to, value);
    }

    function transferFrom(address from, address to, uint256 value) public override returns (bool) {
        _spendAllowance(from, msg.sender, value);
        return _behave(from, to, value);
    }

    function decimals() public view override returns (uint8) {
        return _decimals;
    }

    function _behave(address from, address to, uint256 value) private returns (bool) {
        if (isBlocked[from]) revert Blocked(from);
        if (isBlocked[to]) revert Blocked(to);
        Manner how = manner;
        if (how == Manner.Reverts || (how == Manner.RevertsOnZero && value == 0)) revert Nothing();
        if (how == Manner.BurnsGas) while (true) {}
        if (how == Manner.ReturnsFalse) return false;
        if (how != Manner.MovesNothing) _transfer(from, to, value);
        if (how == Manner.TakesFee) _burn(to, 1);
        if (how == Manner.GivesBonus) _mint(to, 1);
        if (how == Manner.NoReturn) {
            assembly ("memory-safe") {
                return(0, 0)
            }
        }
        return true;
    }
}

/// @title A token that calls back in the middle of a transfer, as ERC-777 does
contract ReenteringToken is ERC20("Again", "AGN") {
    address public target;
    bytes public data;
    bool public wasDone;
    bytes public answer;

    function mint(address account, uint256 amountWei) external {
        _mint(account, amountWei);
    }

    /// @notice Call this during the next transfer, once.
    function arm(address target_, bytes calldata data_) external {
        (target, data, wasDone) = (target_, data_, false);
        delete answer;
    }

    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        address called = target;
        if (called == address(0)) return;
        target = address(0);
        (wasDone, answer) = called.call(data);
    }
}
