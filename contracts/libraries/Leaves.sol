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
        uint32 floor;
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
        bytes32 partsRoot;
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

    /// @notice Leaf of an epoch's attributions root, in the receipts' order.
    struct AttributionLeaf {
        bytes32 receiptDigest;
        bytes32 attributionDigest;
        bytes32 signatureDigest;
    }

    /// @notice Leaf of the lanes root: where a lane stands, counted from its opening; ascending by id.
    struct LaneRow {
        bytes32 laneId;
        address user;
        address provider;
        uint64 coveredSequence;
        bytes32 coveredHead;
        uint128 covered;
        uint128 refunded;
    }

    /// @notice Leaf of the strikes root: a refunded receipt by its index in the receipts root; ascending.
    struct StrikeLeaf {
        uint32 position;
        bytes32 receiptDigest;
        uint32 errorPpm;
        bool undelivered;
    }

    /// @notice Leaf of the parts root: one payment out of one receipt; ascending by (account, position, slot).
    struct PartLeaf {
        address account;
        uint32 position;
        uint16 slot;
        uint128 amount;
    }

    /// @notice Leaf of a version's index root: one record's int4 sketch, and whose it is.
    struct IndexRow {
        uint32 position;
        address owner;
        bytes32 datanetId;
        bytes32 cluster;
        uint32 divisor;
        uint64 scale;
        bytes32 rowDigest;
    }

    /// @notice Leaf of an attribution's scores root: a listed index row; most mass first, then lower position.
    struct RowScore {
        uint32 position;
        uint32 product;
        uint64 scale;
        uint32 divisor;
        address owner;
        bytes32 datanetId;
    }

    /// @notice Leaf of an attribution's shares root, ascending by (kind, account, datanetId).
    struct OwnerShare {
        uint8 kind;
        address account;
        bytes32 datanetId;
        uint32 ppm;
    }

    bytes32 internal constant VOUCHER_TYPEHASH =
        keccak256("Voucher(bytes32 laneId,uint128 cumulative,bytes32 receiptHead)");

    bytes32 internal constant RECEIPT_TYPEHASH =
        keccak256(
            "Receipt(bytes32 requestId,bytes32 laneId,uint64 sequence,bytes32 previousReceipt,address user,address provider,uint8 disclosure,bytes32 modelId,uint32 version,uint32 priceVersion,uint32 promptTokens,uint32 outputTokens,uint128 price,uint128 cumulative,bytes32 requestDigest,bytes32 responseDigest,bytes32 weightsDigest,bytes32 seed,uint64 issuedAt)"
        );

    bytes32 internal constant ATTRIBUTION_TYPEHASH =
        keccak256(
            "Attribution(bytes32 receiptDigest,address provider,bytes32 modelId,uint32 version,bytes32 methodId,bytes32 indexRoot,bytes32 sketchDigest,uint32 floor,bytes32 scoresRoot,bytes32 sharesRoot,bytes32 bodyDigest,uint32 influencePpm,uint32 retrievalPpm,uint32 basePpm)"
        );

    bytes32 internal constant PROPOSAL_TYPEHASH =
        keccak256(
            "Proposal(uint64 epochId,uint32 attempt,bytes32 previousEpoch,bytes32 lanesRoot,bytes32 receiptsRoot,bytes32 attributionsRoot,uint32 receiptCount,bytes32 chunksRoot,bytes32 bundleDigest)"
        );

    bytes32 internal constant EPOCH_TYPEHASH =
        keccak256(
            "Epoch(uint64 epochId,uint32 attempt,uint64 validatorSetId,bytes32 previousEpoch,bytes32 lanesRoot,bytes32 receiptsRoot,bytes32 attributionsRoot,bytes32 chunksRoot,bytes32 strikesRoot,bytes32 partsRoot,bytes32 payoutRoot,uint128 payoutTotal)"
        );

    bytes32 internal constant RECEIPT_LEAF_TYPEHASH =
        keccak256("ReceiptLeaf(bytes32 laneId,uint64 sequence,bytes32 receiptDigest,bytes32 signatureDigest)");

    bytes32 internal constant ATTRIBUTION_LEAF_TYPEHASH =
        keccak256(
            "AttributionLeaf(bytes32 receiptDigest,bytes32 attributionDigest,bytes32 signatureDigest)"
        );

    bytes32 internal constant LANE_ROW_TYPEHASH =
        keccak256(
            "LaneRow(bytes32 laneId,address user,address provider,uint64 coveredSequence,bytes32 coveredHead,uint128 covered,uint128 refunded)"
        );

    bytes32 internal constant STRIKE_LEAF_TYPEHASH =
        keccak256(
            "StrikeLeaf(uint32 position,bytes32 receiptDigest,uint32 errorPpm,bool undelivered)"
        );

    bytes32 internal constant PART_LEAF_TYPEHASH =
        keccak256(
            "PartLeaf(address account,uint32 position,uint16 slot,uint128 amount)"
        );

    bytes32 internal constant INDEX_ROW_TYPEHASH =
        keccak256(
            "IndexRow(uint32 position,address owner,bytes32 datanetId,bytes32 cluster,uint32 divisor,uint64 scale,bytes32 rowDigest)"
        );

    bytes32 internal constant ROW_SCORE_TYPEHASH =
        keccak256(
            "RowScore(uint32 position,uint32 product,uint64 scale,uint32 divisor,address owner,bytes32 datanetId)"
        );

    bytes32 internal constant OWNER_SHARE_TYPEHASH =
        keccak256(
            "OwnerShare(uint8 kind,address account,bytes32 datanetId,uint32 ppm)"
        );

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

    /// @notice Struct hash, before the leaf's second hash.
    function hash(AttributionLeaf calldata leaf) internal pure returns (bytes32) {
        return keccak256(abi.encode(ATTRIBUTION_LEAF_TYPEHASH, leaf));
    }

    /// @notice Struct hash, before the leaf's second hash.
    function hash(LaneRow calldata leaf) internal pure returns (bytes32) {
        return keccak256(abi.encode(LANE_ROW_TYPEHASH, leaf));
    }

    /// @notice Struct hash, before the leaf's second hash.
    function hash(StrikeLeaf calldata leaf) internal pure returns (bytes32) {
        return keccak256(abi.encode(STRIKE_LEAF_TYPEHASH, leaf));
    }

    /// @notice Struct hash, before the leaf's second hash.
    function hash(PartLeaf calldata leaf) internal pure returns (bytes32) {
        return keccak256(abi.encode(PART_LEAF_TYPEHASH, leaf));
    }

    /// @notice Struct hash, before the leaf's second hash.
    function hash(IndexRow calldata leaf) internal pure returns (bytes32) {
        return keccak256(abi.encode(INDEX_ROW_TYPEHASH, leaf));
    }

    /// @notice Struct hash, before the leaf's second hash.
    function hash(RowScore calldata leaf) internal pure returns (bytes32) {
        return keccak256(abi.encode(ROW_SCORE_TYPEHASH, leaf));
    }

    /// @notice Struct hash, before the leaf's second hash.
    function hash(OwnerShare calldata leaf) internal pure returns (bytes32) {
        return keccak256(abi.encode(OWNER_SHARE_TYPEHASH, leaf));
    }
}
