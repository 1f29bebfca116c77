// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAttributionLedger} from "../interfaces/IAttributionLedger.sol";
import {IEpochDisputes} from "../interfaces/IEpochDisputes.sol";
import {Leaves} from "../libraries/Leaves.sol";
import {MerkleTree} from "../libraries/MerkleTree.sol";
import {Neighbours} from "../libraries/Neighbours.sol";
import {SumTree} from "../libraries/SumTree.sol";
import {PartDivision} from "./PartDivision.sol";

/// @title Faults of what an epoch pays: an account that went down or is missing, a sum, a single part
contract PayoutProofs is PartDivision {
    using Leaves for *;

    /// @notice An account's leaf in a payout tree; or, with a gap around its place, that it has none.
    /// @param listed Whether the tree lists it: then its leaf stands at `gap.index` with `gap.proof`.
    struct PayoutPlace {
        bool listed;
        uint128 cumulative;
        SumTree.Payout left;
        SumTree.Payout right;
        Neighbours.SumGap gap;
    }

    /// @notice Two neighbouring parts, or an end of their list.
    struct PartEdge {
        Leaves.PartLeaf left;
        Leaves.PartLeaf right;
        Neighbours.SumGap gap;
    }

    constructor(Facts memory facts) PartDivision(facts) {}

    /// @notice An account's cumulative payout went down, or the account is missing.
    function provePayoutBack(
        IAttributionLedger.CommittedEpoch calldata committed,
        Leaves.Epoch calldata previous,
        address account,
        PayoutPlace calldata before,
        PayoutPlace calldata now_
    ) external {
        _requirePrevious(committed, previous);
        _require(before.listed, "listed");
        uint256 was = _cumulativeOf(previous.payoutRoot, account, before);
        uint256 is_ = _cumulativeOf(committed.epoch.payoutRoot, account, now_);
        _requireFault(!now_.listed || is_ < was, "payout back");
        _condemn(committed, "payout back");
    }

    /// @notice Two neighbours of the payout tree do not ascend by account.
    function provePayoutOrder(
        IAttributionLedger.CommittedEpoch calldata committed,
        SumTree.Payout calldata left,
        SumTree.Payout calldata right,
        Neighbours.SumGap calldata gap
    ) external {
        _require(gap.place == Neighbours.Place.Between, "between");
        (bool held, , ) = Neighbours.holdsSum(committed.epoch.payoutRoot, gap, _payoutNode(left), _payoutNode(right));
        _require(held, "neighbours");
        _requireFault(right.account <= left.account, "payout order");
        _condemn(committed, "payout order");
    }

    /// @notice The payout tree adds up to another total than the epoch states.
    function provePayoutTotal(
        IAttributionLedger.CommittedEpoch calldata committed,
        SumTree.Payout calldata payout,
        uint256 index,
        SumTree.Node[] calldata proof
    ) external {
        SumTree.Node memory node = _payoutNode(payout);
        (bytes32 root, uint256 total, ) = Neighbours.climb(node.hash, node.sum, index, proof);
        _require(root == committed.epoch.payoutRoot && root != 0, "payout");
        _requireFault(total != committed.epoch.payoutTotal, "payout total");
        _condemn(committed, "payout total");
    }

    /// @notice The parts add up to something else than the difference between this epoch's total and the last's.
    /// @param gap Any end of the parts' list, or that it is empty.
    function provePartsTotal(
        IAttributionLedger.CommittedEpoch calldata committed,
        Leaves.Epoch calldata previous,
        PartEdge calldata gap
    ) external {
        _requirePrevious(committed, previous);
        (, uint256 total) = _requireEdge(committed, gap);
        uint256 due = uint256(previous.payoutTotal) + total;
        _requireFault(due != committed.epoch.payoutTotal, "parts total");
        _condemn(committed, "parts total");
    }

    /// @notice Two neighbouring parts do not ascend by (account, position, slot), or one is of nothing.
    function provePartOrder(
        IAttributionLedger.CommittedEpoch calldata committed,
        PartEdge calldata edge
    ) external {
        _require(edge.gap.place == Neighbours.Place.Between, "between");
        _requireEdge(committed, edge);
        bool ascends = _partKey(edge.left) < _partKey(edge.right);
        _requireFault(!ascends || edge.left.amount == 0 || edge.right.amount == 0, "part order");
        _condemn(committed, "part order");
    }

    /// @notice An account's payout did not grow by the sum of its parts.
    /// @param lower The edge below the account's parts.
    /// @param upper The edge above them; the same as `lower` if it has none.
    function provePayoutSum(
        IAttributionLedger.CommittedEpoch calldata committed,
        Leaves.Epoch calldata previous,
        address account,
        PayoutPlace calldata before,
        PayoutPlace calldata now_,
        PartEdge calldata lower,
        PartEdge calldata upper
    ) external {
        _requirePrevious(committed, previous);
        uint256 due = _cumulativeOf(previous.payoutRoot, account, before);
        (uint256 start, ) = _requireEdge(committed, lower);
        (uint256 end, ) = _requireEdge(committed, upper);
        bool isRange = (!_hasLeft(lower.gap.place) || lower.left.account < account) &&
            (!_hasRight(lower.gap.place) || lower.right.account >= account) &&
            (!_hasLeft(upper.gap.place) || upper.left.account <= account) &&
            (!_hasRight(upper.gap.place) || upper.right.account > account);
        _require(isRange, "range");
        uint256 given = _cumulativeOf(committed.epoch.payoutRoot, account, now_);
        _requireFault(due + (end - start) != given, "payout sum");
        _condemn(committed, "payout sum");
    }

    /// @notice A part is not what its receipt's division gives for its slot.
    /// @param division What the part follows from.
    /// @param strike Whether the receipt is struck; looked at only if account and amount are right otherwise.
    function provePart(
        IAttributionLedger.CommittedEpoch calldata committed,
        Leaves.PartLeaf calldata part,
        uint256 index,
        SumTree.Node[] calldata proof,
        Division calldata division,
        StrikePlace calldata strike
    ) external {
        _requirePart(committed, part, index, proof);
        _require(division.receipt.index == part.position, "position");
        uint256 amount = _amountOf(committed, part.slot, division);
        if (amount == part.amount && part.account == _accountOf(committed, part.slot, division)) {
            bool isStruck = _requireStrike(committed, part.position, strike);
            _requireFault(isStruck != (part.slot == REFUND_SLOT), "part");
        }
        _condemn(committed, "part");
    }

    /// @notice A part names a receipt beyond the last.
    function provePartBeyond(
        IAttributionLedger.CommittedEpoch calldata committed,
        Leaves.PartLeaf calldata part,
        uint256 index,
        SumTree.Node[] calldata proof,
        Leaves.ReceiptLeaf calldata last,
        Neighbours.Gap calldata end
    ) external {
        _requirePart(committed, part, index, proof);
        _require(!_hasRight(end.place), "end");
        _requireGap(committed.epoch.receiptsRoot, end, last.hash(), 0, "last receipt");
        _requireFault(end.place == Neighbours.Place.Empty || part.position > end.index, "part beyond");
        _condemn(committed, "part beyond");
    }

    /// @notice A part that its receipt's division gives is not in the list.
    /// @param edge The neighbours around where it would stand.
    function provePartMissing(
        IAttributionLedger.CommittedEpoch calldata committed,
        uint16 slot,
        Division calldata division,
        StrikePlace calldata strike,
        PartEdge calldata edge
    ) external {
        uint256 position = division.receipt.index;
        uint256 amount = _amountOf(committed, slot, division);
        bool isStruck = _requireStrike(committed, position, strike);
        _requireFault(amount != 0 && isStruck == (slot == REFUND_SLOT), "part missing");
        uint256 key = _key(_accountOf(committed, slot, division), position, slot);
        _requireEdge(committed, edge);
        bool isGap = (!_hasLeft(edge.gap.place) || _partKey(edge.left) < key) &&
            (!_hasRight(edge.gap.place) || key < _partKey(edge.right));
        _requireFault(isGap, "part missing");
        _condemn(committed, "part missing");
    }

    /// @dev The account's cumulative wei under `root`; zero if it is not listed, which `place` shows then.
    function _cumulativeOf(bytes32 root, address account, PayoutPlace calldata place) private view returns (uint256) {
        Neighbours.SumGap calldata gap = place.gap;
        if (place.listed) {
            bytes32 leaf = SumTree.leafHash(address(ledger), account, place.cumulative);
            (bytes32 found, , ) = Neighbours.climb(leaf, place.cumulative, gap.index, gap.proof);
            _require(found == root && root != 0, "payout");
            return place.cumulative;
        }
        (bool held, , ) = Neighbours.holdsSum(root, gap, _payoutNode(place.left), _payoutNode(place.right));
        _require(held, "payout neighbours");
        bool isGap = (!_hasLeft(gap.place) || place.left.account < account) &&
            (!_hasRight(gap.place) || account < place.right.account);
        _require(isGap, "not listed");
        return 0;
    }

    function _requirePart(
        IAttributionLedger.CommittedEpoch calldata committed,
        Leaves.PartLeaf calldata part,
        uint256 index,
        SumTree.Node[] calldata proof
    ) private pure {
        (bytes32 root, , ) = Neighbours.climb(MerkleTree.leafHash(part.hash()), part.amount, index, proof);
        _require(root == committed.epoch.partsRoot && root != 0, "part");
    }

    /// @return before The sum of all parts left of the edge.
    /// @return total The sum of all parts.
    function _requireEdge(
        IAttributionLedger.CommittedEpoch calldata committed,
        PartEdge calldata edge
    ) private pure returns (uint256 before, uint256 total) {
        SumTree.Node memory left = SumTree.Node(MerkleTree.leafHash(edge.left.hash()), edge.left.amount);
        SumTree.Node memory right = SumTree.Node(MerkleTree.leafHash(edge.right.hash()), edge.right.amount);
        bool held;
        (held, before, total) = Neighbours.holdsSum(committed.epoch.partsRoot, edge.gap, left, right);
        _require(held, "part neighbours");
    }

    function _payoutNode(SumTree.Payout calldata payout) private view returns (SumTree.Node memory) {
        bytes32 leaf = SumTree.leafHash(address(ledger), payout.account, payout.cumulative);
        return SumTree.Node(leaf, payout.cumulative);
    }

    function _partKey(Leaves.PartLeaf calldata part) private pure returns (uint256) {
        return _key(part.account, part.position, part.slot);
    }

    function _key(address account, uint256 position, uint256 slot) private pure returns (uint256) {
        return (uint256(uint160(account)) << 48) | (position << 16) | slot;
    }
}
