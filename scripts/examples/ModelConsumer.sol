// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAttributionLedger} from "../../contracts/interfaces/IAttributionLedger.sol";
import {IModelRegistry} from "../../contracts/interfaces/IModelRegistry.sol";
import {Leaves} from "../../contracts/libraries/Leaves.sol";

/// @title What another contract can ask of Headwater, in one small example
/// @notice Accepts an answer as evidence only if it was given by a model that it trusts, over a receipt that a final
/// epoch holds: so the people whose records taught the answer have been counted, and that can no longer change.
contract ModelConsumer {
    /// @notice What a reader wants to know of a model version at a glance.
    struct Card {
        IModelRegistry.VersionStatus status;
        bool isCertified;
        /// @notice More than one validator stands behind it.
        bool isIndependent;
        uint128 perThousandTokensWei;
        uint32 contributorsPpm;
        bytes32 baseDigest;
    }

    /// @notice An answer was accepted.
    event AnswerAccepted(bytes32 indexed receiptDigest, bytes32 indexed laneId, address by);

    error ModelNotTrusted(bytes32 modelId, uint32 version);
    error ReceiptNotFinal(bytes32 receiptDigest, bool known);
    error AlreadyAccepted(bytes32 receiptDigest);

    /// @notice Model versions.
    IModelRegistry public immutable models;

    /// @notice Epochs.
    IAttributionLedger public immutable ledger;

    /// @notice The one model whose answers count, or any model that continues it.
    bytes32 public immutable trustedModelId;

    /// @notice Receipts that were accepted.
    mapping(bytes32 receiptDigest => bool) public isAccepted;

    constructor(IModelRegistry models_, IAttributionLedger ledger_, bytes32 trustedModelId_) {
        models = models_;
        ledger = ledger_;
        trustedModelId = trustedModelId_;
    }

    /// @notice Status, price and split of a version. Reverts with {IModelRegistry.UnknownVersion}.
    function cardOf(bytes32 modelId, uint32 version) external view returns (Card memory card) {
        IModelRegistry.VersionState memory state = models.stateOf(modelId, version);
        IModelRegistry.ModelVersion memory made = models.versionOf(modelId, version);
        IModelRegistry.PriceSplit memory split;
        (card.perThousandTokensWei, , split) = models.quote(modelId, version);
        card.status = state.status;
        card.isCertified = made.certificateDigest != 0;
        card.isIndependent = state.attesters > 1;
        card.contributorsPpm = split.contributorsPpm;
        card.baseDigest = made.baseDigest;
    }

    /// @notice What an answer of so many tokens (prompt and output) costs now, rounded down.
    function priceOf(bytes32 modelId, uint32 version, uint32 tokens) external view returns (uint256 wei_) {
        (uint128 perThousandTokensWei, , ) = models.quote(modelId, version);
        return (uint256(perThousandTokensWei) * tokens) / 1_000;
    }

    /// @notice Whether a version may be served and comes from the trusted model within {MAX_LINEAGE} generations.
    function isTrusted(bytes32 modelId, uint32 version) public view returns (bool) {
        IModelRegistry.VersionStatus status = models.stateOf(modelId, version).status;
        if (status != IModelRegistry.VersionStatus.Active && status != IModelRegistry.VersionStatus.Deprecated) {
            return false;
        }
        IModelRegistry.Reference[] memory line = models.lineage(modelId, version, models.MAX_LINEAGE());
        for (uint256 i = 0; i < line.length; ++i) {
            if (line[i].modelId == trustedModelId) return true;
        }
        return false;
    }

    /// @notice Accepts an answer once. The receipt's whole content is checked: its digest must be the leaf's.
    /// @param committed The epoch, from the ledger's EpochCommitted event.
    /// @param leaf The receipt's leaf in it, at `index`, proven by `proof`.
    function accept(
        Leaves.Receipt calldata receipt,
        IAttributionLedger.CommittedEpoch calldata committed,
        Leaves.ReceiptLeaf calldata leaf,
        uint256 index,
        bytes32[] calldata proof
    ) external {
        bytes32 digest = Leaves.hash(receipt);
        if (isAccepted[digest]) revert AlreadyAccepted(digest);
        if (!isTrusted(receipt.modelId, receipt.version)) revert ModelNotTrusted(receipt.modelId, receipt.version);
        (bool known, bool isFinal) = ledger.verifyReceipt(committed, leaf, index, proof);
        if (!isFinal || leaf.receiptDigest != digest) revert ReceiptNotFinal(digest, known);
        isAccepted[digest] = true;
        emit AnswerAccepted(digest, receipt.laneId, msg.sender);
    }
}
