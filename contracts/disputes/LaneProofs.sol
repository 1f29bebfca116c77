// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAttributionLedger} from "../interfaces/IAttributionLedger.sol";
import {ICreditEscrow} from "../interfaces/ICreditEscrow.sol";
import {IEpochDisputes} from "../interfaces/IEpochDisputes.sol";
import {Leaves} from "../libraries/Leaves.sol";
import {MerkleTree} from "../libraries/MerkleTree.sol";
import {Neighbours} from "../libraries/Neighbours.sol";
import {Proofs} from "./Proofs.sol";

/// @title Faults of the receipts' order and of the lane table: gap, overlap, duplicate, fork, a lane that went back
contract LaneProofs is Proofs {
    using Leaves for *;

    /// @notice A lane's row as it stands in a lane table; or, with a gap around its place, that it is not there.
    /// @param listed Whether the table lists the lane: then `row` stands at `gap.index` with `gap.proof`.
    /// @param row The lane's row; if not listed, only its lane id counts.
    /// @param left Not listed: the row left of its place.
    /// @param right Not listed: the row right of it.
    struct LanePlace {
        bool listed;
        Leaves.LaneRow row;
        Leaves.LaneRow left;
        Leaves.LaneRow right;
        Neighbours.Gap gap;
    }

    /// @notice Where lanes are.
    ICreditEscrow public immutable escrow;

    constructor(IEpochDisputes court_, ICreditEscrow escrow_) Proofs(court_) {
        escrow = escrow_;
    }

    /// @notice Two neighbouring receipts do not ascend by (lane, sequence) without gap, overlap or duplicate.
    function proveReceiptOrder(
        IAttributionLedger.CommittedEpoch calldata committed,
        Leaves.ReceiptLeaf calldata left,
        Leaves.ReceiptLeaf calldata right,
        Neighbours.Gap calldata gap
    ) external {
        _require(gap.place == Neighbours.Place.Between, "between");
        _requireGap(committed.epoch.receiptsRoot, gap, left.hash(), right.hash(), "neighbours");
        bool isNext = right.laneId == left.laneId && right.sequence == uint256(left.sequence) + 1;
        _requireFault(!isNext && right.laneId <= left.laneId, "receipt order");
        _condemn(committed, "receipt order");
    }

    /// @notice Of two neighbouring receipts of a lane the second does not continue the first.
    function proveReceiptChain(
        IAttributionLedger.CommittedEpoch calldata committed,
        Leaves.Receipt calldata left,
        Leaves.Receipt calldata right,
        bytes32[2] calldata signatureDigests,
        Neighbours.Gap calldata gap
    ) external {
        _require(gap.place == Neighbours.Place.Between, "between");
        bytes32 digest = left.hash();
        bytes32 leftLeaf = _receiptLeaf(left, digest, signatureDigests[0]);
        bytes32 rightLeaf = _receiptLeaf(right, right.hash(), signatureDigests[1]);
        _requireGap(committed.epoch.receiptsRoot, gap, leftLeaf, rightLeaf, "neighbours");
        bool continues = right.previousReceipt == digest &&
            uint256(left.cumulative) + right.price == right.cumulative;
        _requireFault(left.laneId == right.laneId && !continues, "receipt chain");
        _condemn(committed, "receipt chain");
    }

    /// @notice A lane's first receipt does not continue the lane from where the epoch before left it.
    /// @param first Right of the gap, which shows that no receipt of the lane comes before it.
    /// @param before The lane in the table of the epoch before.
    function proveLaneStart(
        IAttributionLedger.CommittedEpoch calldata committed,
        Leaves.Epoch calldata previous,
        Leaves.Receipt calldata first,
        bytes32 signatureDigest,
        Leaves.ReceiptLeaf calldata leftLeaf,
        Neighbours.Gap calldata gap,
        LanePlace calldata before
    ) external {
        _requirePrevious(committed, previous);
        _require(_hasRight(gap.place), "place");
        bytes32 rightHash = _receiptLeaf(first, first.hash(), signatureDigest);
        _requireGap(committed.epoch.receiptsRoot, gap, leftLeaf.hash(), rightHash, "neighbours");
        _require(!_hasLeft(gap.place) || leftLeaf.laneId != first.laneId, "first of its lane");
        _requirePlace(previous.lanesRoot, before, first.laneId);
        _requireFault(!_starts(first, before), "lane start");
        _condemn(committed, "lane start");
    }

    /// @notice A lane does not stand where its last receipt leads.
    /// @param last Left of the gap, which shows that no receipt of the lane comes after it.
    /// @param now_ The lane in this epoch's table.
    function proveLaneEnd(
        IAttributionLedger.CommittedEpoch calldata committed,
        Leaves.Receipt calldata last,
        bytes32 signatureDigest,
        Leaves.ReceiptLeaf calldata rightLeaf,
        Neighbours.Gap calldata gap,
        LanePlace calldata now_
    ) external {
        _require(_hasLeft(gap.place), "place");
        bytes32 digest = last.hash();
        bytes32 leftHash = _receiptLeaf(last, digest, signatureDigest);
        _requireGap(committed.epoch.receiptsRoot, gap, leftHash, rightLeaf.hash(), "neighbours");
        _require(!_hasRight(gap.place) || rightLeaf.laneId != last.laneId, "last of its lane");
        _requirePlace(committed.epoch.lanesRoot, now_, last.laneId);
        Leaves.LaneRow calldata row = now_.row;
        bool stands = now_.listed &&
            row.coveredSequence == last.sequence &&
            row.coveredHead == digest &&
            row.covered == last.cumulative;
        _requireFault(!stands, "lane end");
        _condemn(committed, "lane end");
    }

    /// @notice A lane without a receipt in this epoch moved all the same.
    /// @param left The receipt left of where the lane's would stand.
    /// @param before The lane in the table of the epoch before.
    /// @param now_ The lane in this epoch's table.
    function proveLaneIdle(
        IAttributionLedger.CommittedEpoch calldata committed,
        Leaves.Epoch calldata previous,
        Leaves.ReceiptLeaf calldata left,
        Leaves.ReceiptLeaf calldata right,
        Neighbours.Gap calldata gap,
        LanePlace calldata before,
        LanePlace calldata now_
    ) external {
        _requirePrevious(committed, previous);
        bytes32 laneId = now_.row.laneId;
        _requireGap(committed.epoch.receiptsRoot, gap, left.hash(), right.hash(), "neighbours");
        bool isGap = (!_hasLeft(gap.place) || left.laneId < laneId) &&
            (!_hasRight(gap.place) || laneId < right.laneId);
        _require(isGap, "no receipt");
        _require(now_.listed, "listed");
        _requirePlace(committed.epoch.lanesRoot, now_, laneId);
        _requirePlace(previous.lanesRoot, before, laneId);
        _requireFault(!_stood(before, now_.row), "lane idle");
        _condemn(committed, "lane idle");
    }

    /// @notice A lane of the epoch before is missing, or what was covered or refunded went down, or its parties changed.
    function proveLaneBack(
        IAttributionLedger.CommittedEpoch calldata committed,
        Leaves.Epoch calldata previous,
        LanePlace calldata before,
        LanePlace calldata now_
    ) external {
        _requirePrevious(committed, previous);
        _require(before.listed, "listed");
        Leaves.LaneRow calldata was = before.row;
        _requirePlace(previous.lanesRoot, before, was.laneId);
        _requirePlace(committed.epoch.lanesRoot, now_, was.laneId);
        Leaves.LaneRow calldata row = now_.row;
        bool holds = now_.listed &&
            row.covered >= was.covered &&
            row.refunded >= was.refunded &&
            row.coveredSequence >= was.coveredSequence &&
            row.user == was.user &&
            row.provider == was.provider;
        _requireFault(!holds, "lane back");
        _condemn(committed, "lane back");
    }

    /// @notice Two neighbours of the lane table do not ascend.
    function proveLaneOrder(
        IAttributionLedger.CommittedEpoch calldata committed,
        Leaves.LaneRow calldata left,
        Leaves.LaneRow calldata right,
        Neighbours.Gap calldata gap
    ) external {
        _require(gap.place == Neighbours.Place.Between, "between");
        _requireGap(committed.epoch.lanesRoot, gap, left.hash(), right.hash(), "neighbours");
        _requireFault(right.laneId <= left.laneId, "lane order");
        _condemn(committed, "lane order");
    }

    /// @notice A lane's parties are not the escrow's, or it is covered and refunded above what was redeemed over it.
    /// @dev What was redeemed only grows, so an honest row never turns wrong.
    function proveLaneRow(
        IAttributionLedger.CommittedEpoch calldata committed,
        Leaves.LaneRow calldata row,
        uint256 index,
        bytes32[] calldata proof
    ) external {
        _require(MerkleTree.verify(committed.epoch.lanesRoot, row.hash(), index, proof), "lane");
        ICreditEscrow.Lane memory lane = escrow.laneOf(row.laneId);
        bool holds = row.user == lane.user &&
            row.provider == lane.provider &&
            lane.user != address(0) &&
            uint256(row.covered) + row.refunded <= lane.redeemed;
        _requireFault(!holds, "lane row");
        _condemn(committed, "lane row");
    }

    /// @dev Reverts unless the lane stands, or is missing, as `place` says under `root`.
    function _requirePlace(bytes32 root, LanePlace calldata place, bytes32 laneId) private pure {
        _require(place.row.laneId == laneId, "lane id");
        Neighbours.Gap calldata gap = place.gap;
        if (place.listed) {
            _require(MerkleTree.verify(root, place.row.hash(), gap.index, gap.proof), "lane");
            return;
        }
        _requireGap(root, gap, place.left.hash(), place.right.hash(), "lane neighbours");
        bool isGap = (!_hasLeft(gap.place) || place.left.laneId < laneId) &&
            (!_hasRight(gap.place) || laneId < place.right.laneId);
        _require(isGap, "not listed");
    }

    function _starts(Leaves.Receipt calldata first, LanePlace calldata before) private pure returns (bool) {
        Leaves.LaneRow calldata row = before.row;
        if (!before.listed) {
            return first.sequence == 1 && first.previousReceipt == 0 && first.cumulative == first.price;
        }
        return
            first.sequence == uint256(row.coveredSequence) + 1 &&
            first.previousReceipt == row.coveredHead &&
            uint256(row.covered) + first.price == first.cumulative &&
            first.user == row.user &&
            first.provider == row.provider;
    }

    function _stood(LanePlace calldata before, Leaves.LaneRow calldata row) private pure returns (bool) {
        if (!before.listed) return row.coveredSequence == 0 && row.coveredHead == 0 && row.covered == 0;
        Leaves.LaneRow calldata was = before.row;
        return
            row.coveredSequence == was.coveredSequence &&
            row.coveredHead == was.coveredHead &&
            row.covered == was.covered;
    }
}
