// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAttributionLedger} from "../interfaces/IAttributionLedger.sol";
import {IEpochDisputes} from "../interfaces/IEpochDisputes.sol";
import {Leaves} from "../libraries/Leaves.sol";
import {MerkleTree} from "../libraries/MerkleTree.sol";
import {Neighbours} from "../libraries/Neighbours.sol";

/// @title What all contracts of proofs share: leaves opened under a committed epoch, and the way to the court
/// @dev The committed epoch itself is held against the ledger's ring by the court; until then it is only a claim.
abstract contract Proofs {
    using Leaves for *;

    /// @notice A receipt as it stands under the receipts root.
    /// @param signatureDigest keccak256 of the provider's signature.
    struct ReceiptAt {
        Leaves.Receipt receipt;
        bytes32 signatureDigest;
        uint256 index;
        bytes32[] proof;
    }

    /// @notice An attribution as it stands under the attributions root.
    struct AttributionAt {
        Leaves.Attribution attribution;
        bytes32 signatureDigest;
        uint256 index;
        bytes32[] proof;
    }

    /// @notice The court.
    IEpochDisputes public immutable court;

    constructor(IEpochDisputes court_) {
        if (address(court_) == address(0)) revert IEpochDisputes.ZeroAddress();
        court = court_;
    }

    function _condemn(IAttributionLedger.CommittedEpoch calldata committed, bytes32 fault) internal {
        court.condemn(committed, fault, msg.sender);
    }

    function _require(bool held, bytes32 step) internal pure {
        if (!held) revert IEpochDisputes.DoesNotHold(step);
    }

    /// @dev Reverts unless `isFault`.
    function _requireFault(bool isFault, bytes32 fault) internal pure {
        if (!isFault) revert IEpochDisputes.NoFault(fault);
    }

    /// @dev The epoch before the committed one; all zeros before the first.
    function _requirePrevious(
        IAttributionLedger.CommittedEpoch calldata committed,
        Leaves.Epoch calldata previous
    ) internal pure {
        bytes32 digest = committed.epoch.previousEpoch;
        if (digest == 0) {
            bool isNone = previous.lanesRoot == 0 && previous.payoutRoot == 0 && previous.payoutTotal == 0;
            _require(isNone, "previous epoch");
        } else {
            _require(previous.hash() == digest, "previous epoch");
        }
    }

    /// @return digest The receipt's.
    function _requireReceipt(
        IAttributionLedger.CommittedEpoch calldata committed,
        ReceiptAt calldata shown
    ) internal pure returns (bytes32 digest) {
        digest = shown.receipt.hash();
        bytes32 leaf = _receiptLeaf(shown.receipt, digest, shown.signatureDigest);
        _require(MerkleTree.verify(committed.epoch.receiptsRoot, leaf, shown.index, shown.proof), "receipt");
    }

    function _receiptLeaf(
        Leaves.Receipt calldata receipt,
        bytes32 digest,
        bytes32 signatureDigest
    ) internal pure returns (bytes32) {
        bytes32 typeHash = Leaves.RECEIPT_LEAF_TYPEHASH;
        return keccak256(abi.encode(typeHash, receipt.laneId, receipt.sequence, digest, signatureDigest));
    }

    /// @dev The attribution's leaf names the attribution's own receipt.
    function _requireAttribution(
        IAttributionLedger.CommittedEpoch calldata committed,
        AttributionAt calldata shown
    ) internal pure {
        _requireAttributionOf(committed, shown, shown.attribution.receiptDigest);
    }

    /// @dev The attribution's leaf names this receipt, whatever the attribution itself says.
    function _requireAttributionOf(
        IAttributionLedger.CommittedEpoch calldata committed,
        AttributionAt calldata shown,
        bytes32 receiptDigest
    ) internal pure {
        bytes32 leaf = keccak256(
            abi.encode(
                Leaves.ATTRIBUTION_LEAF_TYPEHASH,
                receiptDigest,
                shown.attribution.hash(),
                shown.signatureDigest
            )
        );
        _require(MerkleTree.verify(committed.epoch.attributionsRoot, leaf, shown.index, shown.proof), "attribution");
    }

    function _requireGap(
        bytes32 root,
        Neighbours.Gap calldata gap,
        bytes32 left,
        bytes32 right,
        bytes32 step
    ) internal pure {
        _require(Neighbours.holds(root, gap, left, right), step);
    }

    function _hasLeft(Neighbours.Place place) internal pure returns (bool) {
        return place == Neighbours.Place.Between || place == Neighbours.Place.Last;
    }

    function _hasRight(Neighbours.Place place) internal pure returns (bool) {
        return place == Neighbours.Place.Between || place == Neighbours.Place.First;
    }
}
