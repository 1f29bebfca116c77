// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {IAttributionLedger} from "../interfaces/IAttributionLedger.sol";
import {IStaking} from "../interfaces/IStaking.sol";
import {Ppm} from "../libraries/Ppm.sol";
import {Signatures} from "../libraries/Signatures.sol";
import {SumTree} from "../libraries/SumTree.sol";
import {Votes} from "../libraries/Votes.sol";
import {ValidatorSets} from "./ValidatorSets.sol";

/// @title Bonds, hot keys and validators' rewards, see {IStaking}
/// @dev No reentrancy guard: state is written before any call out, and only the token and the ledger are called, both
/// fixed at deployment. {distribute} reads after its calls, and what it reads is proven against the ledger's root.
contract Staking is IStaking, ValidatorSets, EIP712 {
    using SafeERC20 for IERC20;

    bytes32 private constant KEY_REGISTRATION_TYPEHASH =
        keccak256(
            "KeyRegistration(address owner,address key,uint8 role,bytes32 epochDrawAnchor,bytes32 versionDrawAnchor)"
        );

    /// @notice The credit token.
    IERC20 public immutable token;

    /// @inheritdoc IStaking
    IAttributionLedger public immutable ledger;

    /// @notice The contract that proves faults; zero: none, so that nobody slashes but the ledger.
    address public immutable disputes;

    /// @inheritdoc IStaking
    uint64 public immutable exitDelaySeconds;

    /// @inheritdoc IStaking
    uint64 public immutable evidenceWindowSeconds;

    uint96 private immutable _minimumStake;
    uint96 private immutable _providerBond;

    mapping(address owner => mapping(Role role => Position)) private _positions;
    mapping(address key => Key) private _keys;
    mapping(address key => DrawAnchors) private _drawAnchors;
    mapping(bytes32 evidenceId => bool) private _evidenceUsed;

    /// @inheritdoc IStaking
    mapping(address account => uint128) public creditOf;

    /// @inheritdoc IStaking
    uint128 public burned;

    /// @notice The part of this contract's cumulative payouts that signers were credited.
    uint128 public distributedCumulative;

    /// @notice The newest epoch whose validators' part was distributed.
    uint64 public lastDistributedEpoch;

    /// @param minimumStake Least bond of a validator, in wei.
    /// @param providerBond Least bond of a provider, in wei.
    /// @param exitDelaySeconds_ More than the ledger's window and the evidence window; the ledger checks it.
    constructor(
        IERC20 token_,
        IAttributionLedger ledger_,
        address disputes_,
        uint96 minimumStake,
        uint96 providerBond,
        uint64 exitDelaySeconds_,
        uint64 evidenceWindowSeconds_
    ) EIP712("Headwater Staking", "1") {
        if (address(token_) == address(0) || address(ledger_) == address(0)) revert ZeroAddress();
        if (minimumStake == 0) revert ParameterOutOfBounds("minimumStake", minimumStake);
        if (providerBond == 0) revert ParameterOutOfBounds("providerBond", providerBond);
        if (evidenceWindowSeconds_ == 0) revert ParameterOutOfBounds("evidenceWindowSeconds", evidenceWindowSeconds_);
        if (exitDelaySeconds_ <= evidenceWindowSeconds_ || exitDelaySeconds_ > 365 days) {
            revert ParameterOutOfBounds("exitDelaySeconds", exitDelaySeconds_);
        }
        token = token_;
        ledger = ledger_;
        disputes = disputes_;
        _minimumStake = minimumStake;
        _providerBond = providerBond;
        exitDelaySeconds = exitDelaySeconds_;
        evidenceWindowSeconds = evidenceWindowSeconds_;
    }

    /// @inheritdoc IStaking
    function registerValidator(
        address key,
        bytes calldata possession,
        uint96 stakeWei,
        DrawAnchors calldata anchors
    ) external {
        _register(Role.Validator, key, possession, stakeWei, anchors);
        _join(msg.sender);
        _moveWeight(msg.sender, key, stakeWei);
        token.safeTransferFrom(msg.sender, address(this), stakeWei);
    }

    /// @inheritdoc IStaking
    function registerProvider(address key, bytes calldata possession, uint96 stakeWei) external {
        _register(Role.Provider, key, possession, stakeWei, DrawAnchors(0, 0));
        token.safeTransferFrom(msg.sender, address(this), stakeWei);
    }

    /// @inheritdoc IStaking
    function addKey(Role role, address key, bytes calldata possession, DrawAnchors calldata anchors) external {
        Position storage position = _active(msg.sender, role);
        _addKey(role, key, possession, anchors);
        if (role == Role.Validator) _moveWeight(msg.sender, key, position.stake);
    }

    /// @inheritdoc IStaking
    function addStake(Role role, uint96 amountWei) external {
        Position storage position = _active(msg.sender, role);
        uint96 stake = position.stake + amountWei;
        position.stake = stake;
        emit StakeAdded(msg.sender, role, amountWei, stake);
        if (role == Role.Validator) _moveWeight(msg.sender, votingKeyOf(msg.sender), stake);
        token.safeTransferFrom(msg.sender, address(this), amountWei);
    }

    /// @inheritdoc IStaking
    function requestExit(Role role) external {
        Position storage position = _positions[msg.sender][role];
        Status status = position.status;
        if (status != Status.Active && status != Status.Removed) revert WrongStatus(msg.sender, role, status);
        uint64 exitAt = uint64(block.timestamp) + exitDelaySeconds;
        position.status = Status.Exiting;
        position.exitAt = exitAt;
        emit ExitRequested(msg.sender, role, exitAt);
        if (role == Role.Validator && status == Status.Active) _leave(msg.sender);
    }

    /// @inheritdoc IStaking
    function exit(Role role) external {
        Position storage position = _positions[msg.sender][role];
        if (position.status != Status.Exiting) revert WrongStatus(msg.sender, role, position.status);
        if (block.timestamp < position.exitAt) revert ExitTooEarly(position.exitAt);
        uint96 amount = position.stake;
        position.status = Status.Withdrawn;
        position.stake = 0;
        emit Exited(msg.sender, role, amount);
        token.safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc IStaking
    function slash(
        address owner,
        Role role,
        uint32 sharePpm,
        bytes32 evidenceId,
        address challenger
    ) external returns (uint96 amount) {
        if (msg.sender != disputes && msg.sender != address(ledger)) revert OnlyCourt(msg.sender);
        if (sharePpm > Ppm.WHOLE) revert ParameterOutOfBounds("sharePpm", sharePpm);
        if (_evidenceUsed[evidenceId]) revert EvidenceUsed(evidenceId);
        _evidenceUsed[evidenceId] = true;
        Position storage position = _positions[owner][role];
        amount = uint96(Ppm.ceilOf(position.stake, sharePpm));
        uint96 stake = position.stake - amount;
        position.stake = stake;
        uint96 reward = challenger == address(0) ? 0 : amount / 2;
        creditOf[challenger] += reward;
        burned += amount - reward;
        emit Slashed(owner, role, evidenceId, amount, challenger, reward);
        if (position.status == Status.Active) _afterSlash(owner, role, position, stake);
    }

    /// @inheritdoc IStaking
    function distribute(
        IAttributionLedger.CommittedEpoch calldata committed,
        address proposer,
        uint256[] calldata votes,
        uint128 cumulative,
        uint256 index,
        SumTree.Node[] calldata proof
    ) external {
        uint64 epochId = committed.epoch.epochId;
        if (epochId <= lastDistributedEpoch) revert AlreadyDistributed(lastDistributedEpoch, epochId);
        bytes32 signersDigest = keccak256(abi.encode(proposer, votes));
        if (signersDigest != committed.signersDigest) revert SignersMismatch(committed.signersDigest, signersDigest);
        lastDistributedEpoch = epochId;
        // The ledger proves that the epoch is final and the cumulative in it, and pays what was not paid yet.
        ledger.claim(committed, address(this), cumulative, index, proof);
        (, uint128 settled) = ledger.accountOf(address(this));
        if (settled != 0) ledger.withdrawCredit(address(this));
        uint128 owed = cumulative > distributedCumulative ? cumulative - distributedCumulative : 0;
        uint128 amount = _creditSigners(votes, owed);
        distributedCumulative += amount;
        emit RewardsDistributed(epochId, amount, distributedCumulative);
    }

    /// @inheritdoc IStaking
    function withdrawCredit(address account) external returns (uint128 amount) {
        amount = creditOf[account];
        if (amount == 0 || account == address(0)) revert NothingToWithdraw(account);
        creditOf[account] = 0;
        emit CreditWithdrawn(account, amount);
        token.safeTransfer(account, amount);
    }

    /// @inheritdoc IStaking
    function keyOf(address key) external view returns (Key memory) {
        return _keys[key];
    }

    /// @inheritdoc IStaking
    function ownerOfKey(address key) external view returns (address) {
        return _keys[key].owner;
    }

    /// @inheritdoc IStaking
    function isProviderKey(address provider, address key) external view returns (bool) {
        Key memory entry = _keys[key];
        return provider != address(0) && entry.owner == provider && entry.role == Role.Provider;
    }

    /// @inheritdoc IStaking
    function positionOf(address owner, Role role) external view returns (Position memory) {
        return _positions[owner][role];
    }

    /// @inheritdoc IStaking
    function isActive(address owner, Role role) external view returns (bool) {
        return _positions[owner][role].status == Status.Active;
    }

    /// @inheritdoc IStaking
    function drawAnchorsOf(address key) external view returns (DrawAnchors memory) {
        return _drawAnchors[key];
    }

    /// @inheritdoc IStaking
    function minimumStakeOf(Role role) public view returns (uint96) {
        return role == Role.Validator ? _minimumStake : _providerBond;
    }

    /// @inheritdoc IStaking
    function possessionSigningDigest(
        address owner,
        address key,
        Role role,
        DrawAnchors memory anchors
    ) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(KEY_REGISTRATION_TYPEHASH, owner, key, role, anchors)));
    }

    function _register(
        Role role,
        address key,
        bytes calldata possession,
        uint96 stakeWei,
        DrawAnchors memory anchors
    ) private {
        Position storage position = _positions[msg.sender][role];
        if (position.status != Status.None && position.status != Status.Withdrawn) {
            revert WrongStatus(msg.sender, role, position.status);
        }
        if (stakeWei < minimumStakeOf(role)) revert StakeBelowMinimum(stakeWei, minimumStakeOf(role));
        position.stake = stakeWei;
        position.status = Status.Active;
        emit Registered(msg.sender, role, stakeWei);
        _addKey(role, key, possession, anchors);
    }

    function _addKey(Role role, address key, bytes calldata possession, DrawAnchors memory anchors) private {
        if (key == msg.sender) revert KeyIsOwner(msg.sender);
        if (_keys[key].owner != address(0)) revert KeyTaken(key, _keys[key].owner);
        Signatures.requireKey(key, possessionSigningDigest(msg.sender, key, role, anchors), possession);
        if (role == Role.Validator) {
            if (anchors.epochDraw == 0 || anchors.versionDraw == 0) revert ZeroDrawAnchor();
            _drawAnchors[key] = anchors;
        }
        _keys[key] = Key(msg.sender, role);
        emit KeyAdded(msg.sender, role, key, anchors);
    }

    function _active(address owner, Role role) private view returns (Position storage position) {
        position = _positions[owner][role];
        if (position.status != Status.Active) revert WrongStatus(owner, role, position.status);
    }

    function _afterSlash(address owner, Role role, Position storage position, uint96 stake) private {
        bool removed = stake < minimumStakeOf(role);
        if (removed) position.status = Status.Removed;
        if (role != Role.Validator) return;
        if (removed) _leave(owner);
        else _moveWeight(owner, votingKeyOf(owner), stake);
    }

    /// @dev Each vote's part rounds down; returns what was credited.
    function _creditSigners(uint256[] calldata votes, uint128 amount) private returns (uint128 credited) {
        uint256 total;
        for (uint256 i = 0; i < votes.length; ++i) {
            total += Votes.weightOf(votes[i]);
        }
        for (uint256 i = 0; i < votes.length; ++i) {
            uint128 part = uint128((uint256(amount) * Votes.weightOf(votes[i])) / total);
            creditOf[_keys[Votes.keyOf(votes[i])].owner] += part;
            credited += part;
        }
    }
}
