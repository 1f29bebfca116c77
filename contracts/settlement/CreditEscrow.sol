// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {GuardianPause} from "../governance/GuardianPause.sol";
import {Succession} from "../governance/Succession.sol";
import {IAttributionLedger} from "../interfaces/IAttributionLedger.sol";
import {ICreditEscrow} from "../interfaces/ICreditEscrow.sol";
import {IStaking} from "../interfaces/IStaking.sol";
import {Leaves} from "../libraries/Leaves.sol";
import {Signatures} from "../libraries/Signatures.sol";

/// @title Users' money in lanes, see {ICreditEscrow}
/// @dev No reentrancy guard: every function writes its state before it calls out, and calls only the token and the
/// ledger, both fixed at deployment; {deposit} alone credits after the transfer, by the amount that it asked for, and
/// reverts when the balance says otherwise.
contract CreditEscrow is ICreditEscrow, EIP712, GuardianPause, Succession {
    using Leaves for *;
    using SafeERC20 for IERC20;

    /// @notice Disclosure numbers are 0 confidential, 1 public, 2 none.
    uint8 public constant LAST_DISCLOSURE = 2;

    /// @notice The credit token.
    IERC20 public immutable token;

    /// @inheritdoc ICreditEscrow
    IAttributionLedger public immutable ledger;

    /// @notice Who is a provider, and whose keys sign for it.
    IStaking public immutable staking;

    /// @inheritdoc ICreditEscrow
    uint64 public immutable laneCloseDelaySeconds;

    /// @inheritdoc ICreditEscrow
    mapping(address account => uint128) public freeOf;

    mapping(bytes32 laneId => Lane) private _lanes;

    uint64 private _pausedUntil;

    /// @param access The ProtocolAccess that knows the guardian.
    /// @param laneCloseDelaySeconds_ More than two epochs; the ledger's constructor checks it.
    constructor(
        address access,
        IERC20 token_,
        IAttributionLedger ledger_,
        IStaking staking_,
        uint64 laneCloseDelaySeconds_
    ) EIP712("Headwater CreditEscrow", "1") AccessManaged(access) {
        if (address(token_) == address(0) || address(ledger_) == address(0) || address(staking_) == address(0)) {
            revert ZeroAddress();
        }
        if (laneCloseDelaySeconds_ == 0 || laneCloseDelaySeconds_ > 365 days) {
            revert ParameterOutOfBounds("laneCloseDelaySeconds", laneCloseDelaySeconds_);
        }
        token = token_;
        ledger = ledger_;
        staking = staking_;
        laneCloseDelaySeconds = laneCloseDelaySeconds_;
    }

    /// @inheritdoc ICreditEscrow
    function deposit(address to, uint128 amountWei) external {
        _requireNotPaused();
        if (to == address(0)) revert ZeroAddress();
        if (amountWei == 0) revert ZeroAmount();
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amountWei);
        uint256 received = token.balanceOf(address(this)) - before;
        if (received != amountWei) revert TransferMismatch(received, amountWei);
        freeOf[to] += amountWei;
        emit Deposited(msg.sender, to, amountWei);
    }

    /// @inheritdoc ICreditEscrow
    function withdraw(address to, uint128 amountWei) external {
        if (to == address(0)) revert ZeroAddress();
        _takeFree(msg.sender, amountWei);
        emit Withdrawn(msg.sender, to, amountWei);
        token.safeTransfer(to, amountWei);
    }

    /// @inheritdoc ICreditEscrow
    function openLane(
        address provider,
        bytes32 laneNonce,
        uint128 allocation,
        address sessionKey,
        uint8 disclosure,
        uint64 expiresAt
    ) external returns (bytes32 laneId) {
        _requireNotPaused();
        laneId = laneIdOf(msg.sender, provider, laneNonce);
        Lane storage lane = _lanes[laneId];
        if (lane.status != LaneStatus.None) revert LaneExists(laneId);
        if (sessionKey == address(0)) revert ZeroAddress();
        if (disclosure > LAST_DISCLOSURE) revert UnknownDisclosure(disclosure);
        if (expiresAt != 0 && expiresAt <= block.timestamp) revert AlreadyExpired(expiresAt);
        if (!staking.isActive(provider, IStaking.Role.Provider)) revert ProviderNotActive(provider);
        _takeFree(msg.sender, allocation);
        lane.allocated = allocation;
        lane.sessionKey = sessionKey;
        lane.disclosure = disclosure;
        lane.status = LaneStatus.Open;
        lane.user = msg.sender;
        lane.expiresAt = expiresAt;
        lane.provider = provider;
        emit LaneOpened(laneId, msg.sender, provider, laneNonce, sessionKey, disclosure, expiresAt, allocation);
    }

    /// @inheritdoc ICreditEscrow
    function topUp(bytes32 laneId, uint128 amountWei) external {
        _requireNotPaused();
        Lane storage lane = _lanes[laneId];
        if (lane.status != LaneStatus.Open) revert WrongLaneStatus(laneId, lane.status);
        if (msg.sender != lane.user) revert NotLaneParty(laneId, msg.sender);
        _takeFree(msg.sender, amountWei);
        lane.allocated += amountWei;
        emit LaneToppedUp(laneId, amountWei, lane.allocated);
    }

    /// @inheritdoc ICreditEscrow
    function redeem(Leaves.Voucher calldata voucher, bytes calldata signature) external returns (uint128 amount) {
        Lane storage lane = _lanes[voucher.laneId];
        if (lane.status != LaneStatus.Open && lane.status != LaneStatus.Closing) {
            revert WrongLaneStatus(voucher.laneId, lane.status);
        }
        if (lane.status == LaneStatus.Closing && block.timestamp >= lane.closingAt) {
            revert LaneEnded(voucher.laneId, lane.closingAt);
        }
        Signatures.requireKey(lane.sessionKey, voucherSigningDigest(voucher), signature);
        (uint128 allocated, uint128 redeemed) = (lane.allocated, lane.redeemed);
        if (voucher.cumulative > allocated) revert VoucherAboveAllocation(voucher.cumulative, allocated);
        if (voucher.cumulative <= redeemed) return 0;
        amount = voucher.cumulative - redeemed;
        lane.redeemed = voucher.cumulative;
        emit VoucherRedeemed(voucher.laneId, amount, voucher.cumulative, voucher.receiptHead);
        token.safeTransfer(address(ledger), amount);
        ledger.fund(voucher.laneId, amount);
    }

    /// @inheritdoc ICreditEscrow
    function requestClose(bytes32 laneId) external {
        Lane storage lane = _lanes[laneId];
        if (lane.status != LaneStatus.Open) revert WrongLaneStatus(laneId, lane.status);
        if (!_mayClose(lane)) revert NotLaneParty(laneId, msg.sender);
        uint64 closingAt = uint64(block.timestamp) + laneCloseDelaySeconds;
        lane.status = LaneStatus.Closing;
        lane.closingAt = closingAt;
        emit LaneCloseRequested(laneId, msg.sender, closingAt);
    }

    /// @inheritdoc ICreditEscrow
    function close(bytes32 laneId) external {
        Lane storage lane = _lanes[laneId];
        if (lane.status != LaneStatus.Closing) revert WrongLaneStatus(laneId, lane.status);
        if (block.timestamp < lane.closingAt) revert CloseTooEarly(lane.closingAt);
        uint128 returned = lane.allocated - lane.redeemed;
        lane.status = LaneStatus.Closed;
        (uint64 latestEpochId, ) = ledger.latestEpoch();
        uint32 closedInEpoch = SafeCast.toUint32(latestEpochId + 1);
        lane.closedInEpoch = closedInEpoch;
        freeOf[lane.user] += returned;
        emit LaneClosed(laneId, returned, closedInEpoch);
    }

    /// @inheritdoc ICreditEscrow
    function anchorReceipt(
        Leaves.Receipt calldata receipt,
        bytes calldata receiptSignature,
        Leaves.Attribution calldata attribution,
        bytes calldata attributionSignature
    ) external {
        bytes32 digest = receipt.hash();
        Lane storage lane = _lanes[receipt.laneId];
        if (
            lane.status == LaneStatus.None ||
            lane.user != receipt.user ||
            lane.provider != receipt.provider ||
            lane.disclosure != receipt.disclosure
        ) revert ReceiptNotOfLane(digest, receipt.laneId);
        if (
            attribution.receiptDigest != digest ||
            attribution.provider != receipt.provider ||
            attribution.modelId != receipt.modelId ||
            attribution.version != receipt.version
        ) revert AttributionMismatch(digest);
        if (!verifyReceiptSignature(receipt, receiptSignature)) revert WrongReceiptSigner(digest, receipt.provider);
        if (!verifyAttributionSignature(attribution, attributionSignature)) {
            revert WrongAttributionSigner(digest, receipt.provider);
        }
        emit ReceiptAnchored(digest, receipt.laneId, receipt.provider, receipt.sequence, attribution.hash());
    }

    /// @inheritdoc ICreditEscrow
    function laneOf(bytes32 laneId) external view returns (Lane memory) {
        return _lanes[laneId];
    }

    /// @inheritdoc ICreditEscrow
    function laneIdOf(address user, address provider, bytes32 laneNonce) public view returns (bytes32) {
        return keccak256(abi.encode(block.chainid, address(this), user, provider, laneNonce));
    }

    /// @inheritdoc ICreditEscrow
    function voucherSigningDigest(Leaves.Voucher calldata voucher) public view returns (bytes32) {
        return _hashTypedDataV4(voucher.hash());
    }

    /// @inheritdoc ICreditEscrow
    function receiptSigningDigest(Leaves.Receipt calldata receipt) public view returns (bytes32) {
        return _hashTypedDataV4(receipt.hash());
    }

    /// @inheritdoc ICreditEscrow
    function attributionSigningDigest(Leaves.Attribution calldata attribution) public view returns (bytes32) {
        return _hashTypedDataV4(attribution.hash());
    }

    /// @inheritdoc ICreditEscrow
    function verifyReceiptSignature(
        Leaves.Receipt calldata receipt,
        bytes calldata signature
    ) public view returns (bool) {
        return staking.isProviderKey(receipt.provider, Signatures.recover(receiptSigningDigest(receipt), signature));
    }

    /// @inheritdoc ICreditEscrow
    function verifyAttributionSignature(
        Leaves.Attribution calldata attribution,
        bytes calldata signature
    ) public view returns (bool) {
        return staking.isProviderKey(attribution.provider, Signatures.recover(attributionSigningDigest(attribution), signature));
    }

    /// @inheritdoc GuardianPause
    function pausedUntil() public view override returns (uint64) {
        return _pausedUntil;
    }

    function _setPausedUntil(uint64 until) internal override {
        _pausedUntil = until;
    }

    function _takeFree(address account, uint128 amountWei) private {
        if (amountWei == 0) revert ZeroAmount();
        uint128 free = freeOf[account];
        if (amountWei > free) revert NotEnoughCredit(free, amountWei);
        freeOf[account] = free - amountWei;
    }

    /// @dev A lane must not outlive its session key or its provider's bond, whoever sleeps.
    function _mayClose(Lane storage lane) private view returns (bool) {
        if (msg.sender == lane.user || msg.sender == lane.provider) return true;
        if (lane.expiresAt != 0 && block.timestamp > lane.expiresAt) return true;
        return !staking.isActive(lane.provider, IStaking.Role.Provider);
    }
}
