// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What is signed and what stands in the trees of a settlement, with its EIP-712 struct hash
/// @notice Each struct's Python twin has the same name in headwater.protocol; tests/contracts/test_conformance.py holds
/// members, order and hashes against each other. A leaf of a {MerkleTree} is the struct hash, hashed once more.
library Leaves {
    /// @notice "Up to here I owe", signed by the lane's session key under CreditEscrow.
    struct Voucher {
        bytes32 laneId;
        uint128 cumulative;
        bytes32 receiptHead;
    }

    /// @notice The provider's word on one answer, signed by its hot key under CreditEscrow.
    struct Receipt {
        bytes32 requestId;
        bytes32 laneId;
        uint64 sequence;
        bytes32 previousReceipt;
        address user;
        address provider;
        uint8 disclosure;
        bytes32 modelId;
        uint32 version;
        uint32 priceVersion;
        uint32 promptTokens;
        uint32 outputTokens;
        uint128 price;
        uint128 cumulative;
        bytes32 requestDigest;
        bytes32 responseDigest;
        bytes32 weightsDigest;
        bytes32 seed;
        uint64 issuedAt;
    }

    /// @notice Who taught the answer of one receipt, signed by the provider's hot key under CreditEscrow.
    struct Attribution {
        bytes32 receiptDigest;
        address provider;
        bytes32 modelId;
        uint32 version;
        bytes32 methodId;
        bytes32 indexRoot;
        bytes32 sketchDigest;
        bytes32 scoresRoot;
        bytes32 sharesRoot;
        bytes32 bodyDigest;
        uint32 influencePpm;
        uint32 retrievalPpm;
        uint32 basePpm;
    }

    /// @notice The inputs of an epoch that a proposer freezes by transaction.
    struct Proposal {
        uint64 epochId;
        uint32 attempt;
        bytes32 previousEpoch;
        bytes32 lanesRoot;
        bytes32 receiptsRoot;
        bytes32 attributionsRoot;
        uint32 receiptCount;
        bytes32 chunksRoot;
        bytes32 bundleDigest;
    }

    /// @notice What the quorum signs under AttributionLedger: inputs, strikes, payouts, one parent.
    struct Epoch {
        uint64 epochId;
        uint32 attempt;
        uint64 validatorSetId;
        bytes32 previousEpoch;
        bytes32 lanesRoot;
        bytes32 receiptsRoot;
        bytes32 attributionsRoot;
        bytes32 chunksRoot;
        bytes32 strikesRoot;
        bytes32 payoutRoot;
        uint128 payoutTotal;
    }

    /// @notice Leaf of an epoch's receipts root, ascending by (lane, sequence).
    struct ReceiptLeaf {
        bytes32 laneId;
        uint64 sequence;
        bytes32 receiptDigest;
        bytes32 signatureDigest;
    }

    bytes32 internal constant VOUCHER_TYPEHASH =
        keccak256("Voucher(bytes32 laneId,uint128 cumulative,bytes32 receiptHead)");

    bytes32 internal constant RECEIPT_TYPEHASH =
        keccak256(
            "Receipt(bytes32 requestId,bytes32 laneId,uint64 sequence,bytes32 previousReceipt,address user,address provider,uint8 disclosure,bytes32 modelId,uint32 version,uint32 priceVersion,uint32 promptTokens,uint32 outputTokens,uint128 price,uint128 cumulative,bytes32 requestDigest,bytes32 responseDigest,bytes32 weightsDigest,bytes32 seed,uint64 issuedAt)"
        );

    bytes32 internal constant ATTRIBUTION_TYPEHASH =
        keccak256(
            "Attribution(bytes32 receiptDigest,address provider,bytes32 modelId,uint32 version,bytes32 methodId,bytes32 indexRoot,bytes32 sketchDigest,bytes32 scoresRoot,bytes32 sharesRoot,bytes32 bodyDigest,uint32 influencePpm,uint32 retrievalPpm,uint32 basePpm)"
        );

    bytes32 internal constant PROPOSAL_TYPEHASH =
        keccak256(
            "Proposal(uint64 epochId,uint32 attempt,bytes32 previousEpoch,bytes32 lanesRoot,bytes32 receiptsRoot,bytes32 attributionsRoot,uint32 receiptCount,bytes32 chunksRoot,bytes32 bundleDigest)"
        );

    bytes32 internal constant EPOCH_TYPEHASH =
        keccak256(
            "Epoch(uint64 epochId,uint32 attempt,uint64 validatorSetId,bytes32 previousEpoch,bytes32 lanesRoot,bytes32 receiptsRoot,bytes32 attributionsRoot,bytes32 chunksRoot,bytes32 strikesRoot,bytes32 payoutRoot,uint128 payoutTotal)"
        );

    bytes32 internal constant RECEIPT_LEAF_TYPEHASH =
        keccak256("ReceiptLeaf(bytes32 laneId,uint64 sequence,bytes32 receiptDigest,bytes32 signatureDigest)");

    /// @notice EIP-712 struct hash.
    function hash(Voucher calldata voucher) internal pure returns (bytes32) {
        return keccak256(abi.encode(VOUCHER_TYPEHASH, voucher));
    }

    /// @notice EIP-712 struct hash; also the receipt's public digest.
    function hash(Receipt calldata receipt) internal pure returns (bytes32) {
        return keccak256(abi.encode(RECEIPT_TYPEHASH, receipt));
    }

    /// @notice EIP-712 struct hash.
    function hash(Attribution calldata attribution) internal pure returns (bytes32) {
        return keccak256(abi.encode(ATTRIBUTION_TYPEHASH, attribution));
    }

    /// @notice Struct hash; what a verdict names.
    function hash(Proposal memory proposal) internal pure returns (bytes32) {
        return keccak256(abi.encode(PROPOSAL_TYPEHASH, proposal));
    }

    /// @notice EIP-712 struct hash; also the digest that the next epoch names as its parent.
    function hash(Epoch calldata epoch) internal pure returns (bytes32) {
        return keccak256(abi.encode(EPOCH_TYPEHASH, epoch));
    }

    /// @notice Struct hash, before the leaf's second hash.
    function hash(ReceiptLeaf calldata leaf) internal pure returns (bytes32) {
        return keccak256(abi.encode(RECEIPT_LEAF_TYPEHASH, leaf));
    }
}
