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
import {Neighbours} from "../libraries/Neighbours.sol";
import {SumTree} from "../libraries/SumTree.sol";
import {EpochRing} from "./EpochRing.sol";
import {EpochState} from "./EpochState.sol";

/// @title Who is paid from final epochs, see {IAttributionLedger}; how an epoch becomes final stands in {EpochRing}
/// @dev No reentrancy guard: an account's slot is written before the token is called, and nothing is read after.
contract AttributionLedger is EpochRing {
    using Leaves for *;
    using SafeERC20 for IERC20;

    /// @dev Of an account's word: what of `claimed` waits to be withdrawn.
    uint256 private constant CREDIT_MASK = (1 << 127) - 1;

    /// @dev Of an account's word: whether {payeeOf} names somebody, which spares most payments a look at it.
    uint256 private constant PAYEE_FLAG = 1 << 127;

    /// @notice The credit token.
    IERC20 public immutable token;

    /// @dev One slot an account, for life: claimed << 128 | payee flag | credit. A word and not a struct, because whole
    /// trees are settled and each is read and written once.
    mapping(address account => uint256 word) private _accounts;

    /// @inheritdoc IAttributionLedger
    mapping(address account => address) public payeeOf;

    /// @inheritdoc IAttributionLedger
    mapping(bytes32 laneId => uint128) public returnedOf;

    uint128 private _returned;

    /// @param access The ProtocolAccess that knows the guardian.
    /// @param disputes Who may invalidate; zero: nobody.
    constructor(
        address access,
        IERC20 token_,
        ICreditEscrow escrow_,
        IStaking staking_,
        IQuorum quorum_,
        address disputes,
        Parameters memory parameters
    ) EpochState(access, escrow_, staking_, quorum_, disputes, parameters) {
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
        uint256 word = _accounts[msg.sender] & ~PAYEE_FLAG;
        _accounts[msg.sender] = payee == address(0) ? word : word | PAYEE_FLAG;
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
        return _claim(committed.epoch, account, cumulative, index, proof);
    }

    /// @inheritdoc IAttributionLedger
    function claimMany(
        CommittedEpoch calldata committed,
        Claim[] calldata claims
    ) external returns (uint128 amount) {
        _requireFinal(committed);
        for (uint256 i = 0; i < claims.length; ++i) {
            Claim calldata one = claims[i];
            amount += _claim(committed.epoch, one.account, one.cumulative, one.index, one.proof);
        }
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
        uint256 word = _accounts[account];
        amount = uint128(word & CREDIT_MASK);
        if (amount == 0) revert NothingToWithdraw(account);
        _accounts[account] = word & ~CREDIT_MASK;
        address to = _destinationOf(account, word);
        emit CreditWithdrawn(account, to, amount);
        token.safeTransfer(to, amount);
    }

    /// @inheritdoc IAttributionLedger
    function returnUncovered(
        CommittedEpoch calldata last,
        Leaves.LaneRow calldata row,
        uint256 index,
        bytes32[] calldata proof
    ) external returns (uint128) {
        _requireLast(last);
        if (_head.latestEpochId == 0 || !MerkleTree.verify(last.epoch.lanesRoot, row.hash(), index, proof)) {
            revert WrongLaneProof(row.laneId);
        }
        return _return(row.laneId, uint256(row.covered) + row.refunded, last.epoch.payoutTotal);
    }

    /// @inheritdoc IAttributionLedger
    function returnUnlisted(
        CommittedEpoch calldata last,
        bytes32 laneId,
        Leaves.LaneRow calldata left,
        Leaves.LaneRow calldata right,
        Neighbours.Gap calldata gap
    ) external returns (uint128) {
        _requireLast(last);
        if (_head.latestEpochId == 0) return _return(laneId, 0, 0);
        bool hasLeft = gap.place == Neighbours.Place.Between || gap.place == Neighbours.Place.Last;
        bool hasRight = gap.place == Neighbours.Place.Between || gap.place == Neighbours.Place.First;
        if (
            (hasLeft && laneId <= left.laneId) ||
            (hasRight && laneId >= right.laneId) ||
            !Neighbours.holds(last.epoch.lanesRoot, gap, left.hash(), right.hash())
        ) revert WrongLaneProof(laneId);
        return _return(laneId, 0, last.epoch.payoutTotal);
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
        uint256 word = _accounts[account];
        return (uint128(word >> 128), uint128(word & CREDIT_MASK));
    }

    function _claim(
        Leaves.Epoch calldata epoch,
        address account,
        uint128 cumulative,
        uint256 index,
        SumTree.Node[] calldata proof
    ) private returns (uint128 amount) {
        bytes32 leaf = SumTree.leafHash(address(this), account, cumulative);
        if (!SumTree.verify(epoch.payoutRoot, epoch.payoutTotal, leaf, cumulative, index, proof)) {
            revert InvalidProof();
        }
        uint256 word = _accounts[account];
        uint256 claimed = word >> 128;
        if (cumulative <= claimed) return 0;
        amount = uint128(cumulative - claimed);
        _accounts[account] = (uint256(cumulative) << 128) | uint128(word);
        address to = _destinationOf(account, word);
        emit Claimed(account, to, amount, cumulative);
        token.safeTransfer(to, amount);
    }

    function _credit(address account, uint128 cumulative) private returns (uint128 amount) {
        uint256 word = _accounts[account];
        uint256 claimed = word >> 128;
        if (cumulative <= claimed) return 0;
        amount = uint128(cumulative - claimed);
        uint256 credit = (word & CREDIT_MASK) + amount;
        if (credit > CREDIT_MASK) revert CreditTooLarge(account, credit);
        _accounts[account] = (uint256(cumulative) << 128) | (word & PAYEE_FLAG) | credit;
        emit Credited(account, amount, cumulative);
    }

    /// @dev What all lanes get back together is at most what came in and was never committed to anybody.
    function _return(bytes32 laneId, uint256 settled, uint128 committedTotal) private returns (uint128 amount) {
        ICreditEscrow.Lane memory lane = escrow.laneOf(laneId);
        uint128 returned = returnedOf[laneId];
        if (lane.redeemed <= settled + returned) revert NothingUncovered(laneId);
        amount = uint128(lane.redeemed - settled - returned);
        uint128 left = funded - committedTotal - _returned;
        if (amount > left) amount = left;
        if (amount == 0) revert NothingUncovered(laneId);
        returnedOf[laneId] = returned + amount;
        _returned += amount;
        address to = _destinationOf(lane.user, _accounts[lane.user]);
        emit UncoveredReturned(laneId, lane.user, to, amount);
        token.safeTransfer(to, amount);
    }

    function _destinationOf(address account, uint256 word) private view returns (address) {
        return word & PAYEE_FLAG == 0 ? account : payeeOf[account];
    }

    /// @dev The ledger must have ended, so nothing can follow `last`, and nothing is pending.
    function _requireLast(CommittedEpoch calldata last) private view {
        if (block.timestamp < terminalAt()) revert LedgerNotTerminal(terminalAt());
        uint64 latest = _head.latestEpochId;
        if (latest == 0) return;
        if (last.epoch.epochId != latest) revert NotLastEpoch(latest, last.epoch.epochId);
        _requireFinal(last);
    }
}
