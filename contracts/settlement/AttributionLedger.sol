// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IAttributionLedger} from "../interfaces/IAttributionLedger.sol";
import {ICreditEscrow} from "../interfaces/ICreditEscrow.sol";
import {IQuorum} from "../interfaces/IQuorum.sol";
import {IStaking} from "../interfaces/IStaking.sol";
import {Leaves} from "../libraries/Leaves.sol";
import {MerkleTree} from "../libraries/MerkleTree.sol";
import {SumTree} from "../libraries/SumTree.sol";
import {EpochRing} from "./EpochRing.sol";

/// @title Who is paid from final epochs, see {IAttributionLedger}; how an epoch becomes final stands in {EpochRing}
/// @dev No reentrancy guard: an account's slot is written before the token is called, and nothing is read after.
contract AttributionLedger is EpochRing {
    using Leaves for *;
    using SafeERC20 for IERC20;

    /// @dev One slot an account, for life. `credit` is the part of `claimed` that waits to be withdrawn.
    struct Account {
        uint128 claimed;
        uint128 credit;
    }

    /// @notice The credit token.
    IERC20 public immutable token;

    mapping(address account => Account) private _accounts;

    /// @inheritdoc IAttributionLedger
    mapping(address account => address) public payeeOf;

    /// @param disputes Who may invalidate; zero: nobody.
    constructor(
        IERC20 token_,
        ICreditEscrow escrow_,
        IStaking staking_,
        IQuorum quorum_,
        address disputes,
        Parameters memory parameters
    ) EpochRing(escrow_, staking_, quorum_, disputes, parameters) {
        if (address(token_) == address(0)) revert ZeroAddress();
        token = token_;
    }

    /// @inheritdoc IAttributionLedger
    function fund(bytes32 laneId, uint128 amountWei) external {
        if (msg.sender != address(escrow)) revert OnlyEscrow(msg.sender);
        funded += amountWei;
        emit Funded(laneId, amountWei, funded);
    }

    /// @inheritdoc IAttributionLedger
    function setPayee(address payee) external {
        payeeOf[msg.sender] = payee;
        emit PayeeSet(msg.sender, payee);
    }

    /// @inheritdoc IAttributionLedger
    function claim(
        CommittedEpoch calldata committed,
        address account,
        uint128 cumulative,
        uint256 index,
        SumTree.Node[] calldata proof
    ) external returns (uint128 amount) {
        _requireFinal(committed);
        bytes32 leaf = SumTree.leafHash(address(this), account, cumulative);
        Leaves.Epoch calldata epoch = committed.epoch;
        if (!SumTree.verify(epoch.payoutRoot, epoch.payoutTotal, leaf, cumulative, index, proof)) {
            revert InvalidProof();
        }
        uint128 claimed = _accounts[account].claimed;
        if (cumulative <= claimed) return 0;
        amount = cumulative - claimed;
        _accounts[account].claimed = cumulative;
        address to = _destinationOf(account);
        emit Claimed(account, to, amount, cumulative);
        token.safeTransfer(to, amount);
    }

    /// @inheritdoc IAttributionLedger
    function settle(
        CommittedEpoch calldata committed,
        SumTree.Payout[] calldata payouts
    ) external returns (uint128 amount) {
        _requireFinal(committed);
        (bytes32 root, uint128 total) = SumTree.rebuild(address(this), payouts);
        if (root != committed.epoch.payoutRoot || total != committed.epoch.payoutTotal) {
            revert PayoutsMismatch(root, total);
        }
        for (uint256 i = 0; i < payouts.length; ++i) {
            SumTree.Payout calldata payout = payouts[i];
            amount += _credit(payout.account, payout.cumulative);
        }
    }

    /// @inheritdoc IAttributionLedger
    function withdrawCredit(address account) external returns (uint128 amount) {
        amount = _accounts[account].credit;
        if (amount == 0) revert NothingToWithdraw(account);
        _accounts[account].credit = 0;
        address to = _destinationOf(account);
        emit CreditWithdrawn(account, to, amount);
        token.safeTransfer(to, amount);
    }

    /// @inheritdoc IAttributionLedger
    function anchorReceipt(
        Leaves.Receipt calldata receipt,
        bytes calldata receiptSignature,
        Leaves.Attribution calldata attribution,
        bytes calldata attributionSignature
    ) external {
        bytes32 digest = receipt.hash();
        _requireOfLane(receipt, digest);
        if (
            attribution.receiptDigest != digest ||
            attribution.provider != receipt.provider ||
            attribution.modelId != receipt.modelId ||
            attribution.version != receipt.version
        ) revert AttributionMismatch(digest);
        if (!escrow.verifyReceiptSignature(receipt, receiptSignature)) {
            revert WrongReceiptSigner(digest, receipt.provider);
        }
        if (!escrow.verifyAttributionSignature(attribution, attributionSignature)) {
            revert WrongAttributionSigner(digest, receipt.provider);
        }
        emit ReceiptAnchored(digest, receipt.laneId, receipt.provider, receipt.sequence, attribution.hash());
    }

    /// @inheritdoc IAttributionLedger
    function verifyReceipt(
        CommittedEpoch calldata committed,
        Leaves.ReceiptLeaf calldata leaf,
        uint256 index,
        bytes32[] calldata proof
    ) external view returns (bool known, bool isFinal) {
        if (!MerkleTree.verify(committed.epoch.receiptsRoot, leaf.hash(), index, proof)) return (false, false);
        return statusOf(committed);
    }

    /// @inheritdoc IAttributionLedger
    function accountOf(address account) external view returns (uint128 claimed, uint128 credit) {
        return (_accounts[account].claimed, _accounts[account].credit);
    }

    function _credit(address account, uint128 cumulative) private returns (uint128 amount) {
        Account storage entry = _accounts[account];
        (uint128 claimed, uint128 credit) = (entry.claimed, entry.credit);
        if (cumulative <= claimed) return 0;
        amount = cumulative - claimed;
        (entry.claimed, entry.credit) = (cumulative, credit + amount);
        emit Credited(account, amount, cumulative);
    }

    function _destinationOf(address account) private view returns (address) {
        address payee = payeeOf[account];
        return payee == address(0) ? account : payee;
    }

    function _requireOfLane(Leaves.Receipt calldata receipt, bytes32 digest) private view {
        ICreditEscrow.Lane memory lane = escrow.laneOf(receipt.laneId);
        if (
            lane.status == ICreditEscrow.LaneStatus.None ||
            lane.user != receipt.user ||
            lane.provider != receipt.provider ||
            lane.disclosure != receipt.disclosure
        ) revert ReceiptNotOfLane(digest, receipt.laneId);
    }
}
