// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {IStaking} from "../interfaces/IStaking.sol";
import {Votes} from "../libraries/Votes.sol";

/// @title Weights of validator keys, set by set
/// @notice Every change of a weight begins a set with the next number; a signed message names its set, so votes of one
/// set never count for another.
/// @dev Weights and totals are kept for every set. The newest ones stand in slots of their own, so that counting a
/// vote usually reads one slot; older sets are looked up in a history.
abstract contract ValidatorSets is IStaking {
    using Checkpoints for Checkpoints.Trace160;

    /// @dev `weight` holds from set `since` on.
    struct Weight {
        uint64 since;
        uint96 weight;
    }

    uint64 private _currentSetId;
    uint128 private _currentTotal;
    address[] private _owners;
    mapping(address owner => uint256) private _placeOf; // in _owners, from 1
    mapping(address owner => address) private _votingKeyOf;
    mapping(address key => Weight) private _newest;
    mapping(address key => Checkpoints.Trace160) private _history;
    Checkpoints.Trace160 private _totals;

    /// @inheritdoc IStaking
    function currentSetId() public view returns (uint64) {
        return _currentSetId;
    }

    /// @inheritdoc IStaking
    function votingKeyOf(address owner) public view returns (address) {
        return _votingKeyOf[owner];
    }

    /// @inheritdoc IStaking
    function weightOf(uint64 setId, address key) external view returns (uint96) {
        _requireKnownSet(setId);
        return _weightIn(setId, key);
    }

    /// @inheritdoc IStaking
    function totalWeight(uint64 setId) public view returns (uint256) {
        _requireKnownSet(setId);
        return setId == _currentSetId ? _currentTotal : _totals.upperLookupRecent(setId);
    }

    /// @inheritdoc IStaking
    function votesOf(
        uint64 setId,
        address[] calldata keys
    ) external view returns (uint256[] memory votes, uint256 weight, uint256 total) {
        total = totalWeight(setId);
        votes = new uint256[](keys.length);
        for (uint256 i = 0; i < votes.length; ++i) {
            address key = keys[i];
            uint96 one = _weightIn(setId, key);
            if (one == 0) revert NotInValidatorSet(key, setId);
            votes[i] = Votes.pack(key, one);
            unchecked {
                weight += one; // 2^32 weights below 2^96
            }
        }
    }

    /// @inheritdoc IStaking
    function validatorInTurn(uint256 turn) external view returns (address owner, address key, uint64 setId) {
        uint256 count = _owners.length;
        if (count == 0) revert NoValidators();
        owner = _owners[turn % count];
        return (owner, _votingKeyOf[owner], _currentSetId);
    }

    /// @inheritdoc IStaking
    function inTurn(
        uint256 turn,
        address account
    ) external view returns (address owner, uint64 setId, bool isAccount) {
        uint256 count = _owners.length;
        if (count == 0) revert NoValidators();
        owner = _owners[turn % count];
        // The key's slot is only read for who is not the owner.
        return (owner, _currentSetId, account == owner || account == _votingKeyOf[owner]);
    }

    /// @inheritdoc IStaking
    function validatorCount() external view returns (uint256) {
        return _owners.length;
    }

    /// @inheritdoc IStaking
    function validators(uint256 offset, uint256 limit) external view returns (address[] memory page) {
        uint256 count = _owners.length;
        uint256 first = offset < count ? offset : count;
        uint256 size = limit < count - first ? limit : count - first;
        page = new address[](size);
        for (uint256 i = 0; i < size; ++i) {
            page[i] = _owners[first + i];
        }
    }

    /// @dev `owner` joins the turns; its weight follows by {_moveWeight}.
    function _join(address owner) internal {
        _owners.push(owner);
        _placeOf[owner] = _owners.length;
    }

    /// @dev `owner` leaves the turns (the last one takes its place) and its key weighs nothing from now on.
    function _leave(address owner) internal {
        uint256 place = _placeOf[owner];
        address last = _owners[_owners.length - 1];
        _owners[place - 1] = last;
        _placeOf[last] = place;
        _owners.pop();
        delete _placeOf[owner];
        _setWeight(_votingKeyOf[owner], 0);
        delete _votingKeyOf[owner];
    }

    /// @dev From the next set on, `key` carries the owner's whole weight and no other key of it carries any.
    function _moveWeight(address owner, address key, uint96 weight) internal {
        address former = _votingKeyOf[owner];
        if (former != key) {
            if (former != address(0)) _setWeight(former, 0);
            _votingKeyOf[owner] = key;
        }
        _setWeight(key, weight);
    }

    function _setWeight(address key, uint96 weight) private {
        uint64 setId = ++_currentSetId;
        uint128 total = _currentTotal + weight - _newest[key].weight;
        _currentTotal = total;
        _newest[key] = Weight(setId, weight);
        _history[key].push(setId, weight);
        _totals.push(setId, total);
        emit ValidatorSetChanged(setId, key, weight, total);
    }

    function _weightIn(uint64 setId, address key) private view returns (uint96) {
        Weight storage newest = _newest[key];
        (uint64 since, uint96 weight) = (newest.since, newest.weight);
        return setId >= since ? weight : uint96(_history[key].upperLookupRecent(setId));
    }

    function _requireKnownSet(uint64 setId) private view {
        if (setId > _currentSetId) revert UnknownValidatorSet(setId, _currentSetId);
    }
}
