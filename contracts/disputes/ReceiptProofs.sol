// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAttributionLedger} from "../interfaces/IAttributionLedger.sol";
import {ICreditEscrow} from "../interfaces/ICreditEscrow.sol";
import {IEpochDisputes} from "../interfaces/IEpochDisputes.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {IStaking} from "../interfaces/IStaking.sol";
import {Leaves} from "../libraries/Leaves.sol";
import {MerkleTree} from "../libraries/MerkleTree.sol";
import {Neighbours} from "../libraries/Neighbours.sol";
import {Proofs} from "./Proofs.sol";
import {ProviderSignatures} from "./ProviderSignatures.sol";

/// @title Faults of one receipt or attribution of a committed epoch: signature, terms, version
contract ReceiptProofs is Proofs, ProviderSignatures {
    using Leaves for *;

    /// @notice Prices are per this many tokens.
    uint256 public constant TOKENS_PER_PRICE = 1_000;

    /// @notice Where lanes are.
    ICreditEscrow public immutable escrow;

    /// @notice Where versions and prices are.
    IModelRegistry public immutable models;

    constructor(
        IEpochDisputes court_,
        ICreditEscrow escrow_,
        address ledger_,
        IStaking staking_,
        IModelRegistry models_
    ) Proofs(court_) ProviderSignatures(address(escrow_), ledger_, staking_) {
        escrow = escrow_;
        models = models_;
    }

    /// @notice A receipt's signature is by no key of its provider.
    function proveReceiptSignature(
        IAttributionLedger.CommittedEpoch calldata committed,
        Leaves.Receipt calldata receipt,
        bytes calldata signature,
        uint256 index,
        bytes32[] calldata proof
    ) external {
        bytes32 digest = receipt.hash();
        bytes32 leaf = _receiptLeaf(receipt, digest, keccak256(signature));
        _require(MerkleTree.verify(committed.epoch.receiptsRoot, leaf, index, proof), "receipt");
        _requireFault(!_isByProvider(receipt.provider, digest, signature), "receipt signature");
        _condemn(committed, "receipt signature");
    }

    /// @notice An attribution's signature is by no key of the provider that it names.
    function proveAttributionSignature(
        IAttributionLedger.CommittedEpoch calldata committed,
        Leaves.Attribution calldata attribution,
        bytes calldata signature,
        uint256 index,
        bytes32[] calldata proof
    ) external {
        bytes32 digest = attribution.hash();
        bytes32 leaf = keccak256(
            abi.encode(Leaves.ATTRIBUTION_LEAF_TYPEHASH, attribution.receiptDigest, digest, keccak256(signature))
        );
        _require(MerkleTree.verify(committed.epoch.attributionsRoot, leaf, index, proof), "attribution");
        _requireFault(!_isByProvider(attribution.provider, digest, signature), "attribution signature");
        _condemn(committed, "attribution signature");
    }

    /// @notice A receipt's leaf names another lane or sequence than the receipt.
    function proveReceiptLeaf(
        IAttributionLedger.CommittedEpoch calldata committed,
        Leaves.ReceiptLeaf calldata leaf,
        uint256 index,
        bytes32[] calldata proof,
        Leaves.Receipt calldata receipt
    ) external {
        _require(MerkleTree.verify(committed.epoch.receiptsRoot, leaf.hash(), index, proof), "receipt leaf");
        _require(leaf.receiptDigest == receipt.hash(), "receipt");
        _requireFault(leaf.laneId != receipt.laneId || leaf.sequence != receipt.sequence, "receipt leaf");
        _condemn(committed, "receipt leaf");
    }

    /// @notice A receipt's price is not its price version's for its tokens, or its user, provider or disclosure are not
    /// its lane's, or it was answered with other weights than its version's.
    function proveTerms(IAttributionLedger.CommittedEpoch calldata committed, ReceiptAt calldata shown) external {
        _requireReceipt(committed, shown);
        _requireFault(!_isOfLane(shown.receipt) || !_isOfVersion(shown.receipt), "terms");
        _condemn(committed, "terms");
    }

    /// @notice The attribution at a receipt's index is about another receipt, provider or version, or names another
    /// method or index than the version.
    function proveForeignAttribution(
        IAttributionLedger.CommittedEpoch calldata committed,
        ReceiptAt calldata shown,
        AttributionAt calldata other
    ) external {
        bytes32 digest = _requireReceipt(committed, shown);
        _requireAttributionOf(committed, other, digest);
        _require(shown.index == other.index, "same index");
        Leaves.Attribution calldata given = other.attribution;
        bool agrees = given.receiptDigest == digest &&
            given.provider == shown.receipt.provider &&
            given.modelId == shown.receipt.modelId &&
            given.version == shown.receipt.version &&
            _isOfMethod(given);
        _requireFault(!agrees, "foreign attribution");
        _condemn(committed, "foreign attribution");
    }

    /// @notice The leaves at a place of the two lists name different receipts.
    function proveAttributionLeaf(
        IAttributionLedger.CommittedEpoch calldata committed,
        Leaves.ReceiptLeaf calldata receiptLeaf,
        bytes32[] calldata receiptProof,
        Leaves.AttributionLeaf calldata attributionLeaf,
        bytes32[] calldata attributionProof,
        uint256 index
    ) external {
        Leaves.Epoch calldata epoch = committed.epoch;
        _require(MerkleTree.verify(epoch.receiptsRoot, receiptLeaf.hash(), index, receiptProof), "receipt leaf");
        bytes32 leaf = attributionLeaf.hash();
        _require(MerkleTree.verify(epoch.attributionsRoot, leaf, index, attributionProof), "attribution leaf");
        _requireFault(receiptLeaf.receiptDigest != attributionLeaf.receiptDigest, "attribution leaf");
        _condemn(committed, "attribution leaf");
    }

    /// @notice One of the two lists ends before the other.
    /// @param endLeaf Struct hash of the last leaf of the shorter one, at `endIndex`.
    /// @param beyondLeaf Struct hash of a leaf of the longer one, at `beyondIndex`, beyond that end.
    /// @param receiptsEnd Whether the receipts are the shorter list.
    function proveUnequalCounts(
        IAttributionLedger.CommittedEpoch calldata committed,
        bytes32 endLeaf,
        Neighbours.Gap calldata end,
        bytes32 beyondLeaf,
        uint256 beyondIndex,
        bytes32[] calldata beyondProof,
        bool receiptsEnd
    ) external {
        (bytes32 shorter, bytes32 longer) = receiptsEnd
            ? (committed.epoch.receiptsRoot, committed.epoch.attributionsRoot)
            : (committed.epoch.attributionsRoot, committed.epoch.receiptsRoot);
        bool isEnd = end.place == Neighbours.Place.Last || end.place == Neighbours.Place.Empty;
        _require(isEnd && Neighbours.holds(shorter, end, endLeaf, 0), "end");
        _require(MerkleTree.verify(longer, beyondLeaf, beyondIndex, beyondProof), "beyond");
        bool isBeyond = end.place == Neighbours.Place.Empty || beyondIndex > end.index;
        _requireFault(isBeyond, "unequal counts");
        _condemn(committed, "unequal counts");
    }

    function _isOfLane(Leaves.Receipt calldata receipt) private view returns (bool) {
        ICreditEscrow.Lane memory lane = escrow.laneOf(receipt.laneId);
        return
            lane.user == receipt.user &&
            lane.provider == receipt.provider &&
            lane.disclosure == receipt.disclosure &&
            lane.user != address(0);
    }

    function _isOfVersion(Leaves.Receipt calldata receipt) private view returns (bool) {
        IModelRegistry.Commitment memory version = models.commitmentOf(receipt.modelId, receipt.version);
        if (version.baseDigest == 0 || receipt.weightsDigest != version.adapterDigest) return false;
        (bool known, uint256 perThousandTokensWei) = _priceOf(receipt);
        uint256 tokens = uint256(receipt.promptTokens) + receipt.outputTokens;
        return known && receipt.price == (perThousandTokensWei * tokens) / TOKENS_PER_PRICE;
    }

    /// @dev The registry reverts for a price that it does not know. Its error is read, so that a call that merely ran
    /// out of gas does not pass for it.
    function _priceOf(Leaves.Receipt calldata receipt) private view returns (bool known, uint256 perThousandTokensWei) {
        try models.priceAt(receipt.modelId, receipt.version, receipt.priceVersion) returns (
            IModelRegistry.Price memory price
        ) {
            return (true, price.perThousandTokensWei);
        } catch (bytes memory reason) {
            bool isUnknown = bytes4(reason) == IModelRegistry.UnknownPriceVersion.selector ||
                bytes4(reason) == IModelRegistry.UnknownVersion.selector;
            _require(isUnknown, "price");
            return (false, 0);
        }
    }

    function _isOfMethod(Leaves.Attribution calldata given) private view returns (bool) {
        IModelRegistry.Commitment memory version = models.commitmentOf(given.modelId, given.version);
        bool exists = version.baseDigest != 0;
        return exists && given.methodId == version.methodId && given.indexRoot == version.indexRoot;
    }
}
