// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Leaves} from "../libraries/Leaves.sol";
import {MerkleTree} from "../libraries/MerkleTree.sol";
import {Ppm} from "../libraries/Ppm.sol";
import {SumTree} from "../libraries/SumTree.sol";
import {Votes} from "../libraries/Votes.sol";

/// @title The settlement's libraries as external functions, for the conformance tests
contract SettlementHarness {
    using Leaves for *;

    function hashVoucher(Leaves.Voucher calldata value) external pure returns (bytes32) {
        return value.hash();
    }

    function hashReceipt(Leaves.Receipt calldata value) external pure returns (bytes32) {
        return value.hash();
    }

    function hashAttribution(Leaves.Attribution calldata value) external pure returns (bytes32) {
        return value.hash();
    }

    function hashProposal(Leaves.Proposal calldata value) external pure returns (bytes32) {
        return value.hash();
    }

    function hashEpoch(Leaves.Epoch calldata value) external pure returns (bytes32) {
        return value.hash();
    }

    function hashReceiptLeaf(Leaves.ReceiptLeaf calldata value) external pure returns (bytes32) {
        return value.hash();
    }

    function hashAttributionLeaf(Leaves.AttributionLeaf calldata value) external pure returns (bytes32) {
        return value.hash();
    }

    function hashLaneRow(Leaves.LaneRow calldata value) external pure returns (bytes32) {
        return value.hash();
    }

    function hashStrikeLeaf(Leaves.StrikeLeaf calldata value) external pure returns (bytes32) {
        return value.hash();
    }

    function hashPartLeaf(Leaves.PartLeaf calldata value) external pure returns (bytes32) {
        return value.hash();
    }

    function hashIndexRow(Leaves.IndexRow calldata value) external pure returns (bytes32) {
        return value.hash();
    }

    function hashRowScore(Leaves.RowScore calldata value) external pure returns (bytes32) {
        return value.hash();
    }

    function hashOwnerShare(Leaves.OwnerShare calldata value) external pure returns (bytes32) {
        return value.hash();
    }

    function verifyMerkle(
        bytes32 root,
        bytes32 structHash,
        uint256 index,
        bytes32[] calldata proof
    ) external pure returns (bool) {
        return MerkleTree.verify(root, structHash, index, proof);
    }

    function payoutLeafHash(address ledger, address account, uint128 cumulative) external view returns (bytes32) {
        return SumTree.leafHash(ledger, account, cumulative);
    }

    function verifyPayout(
        bytes32 root,
        uint128 total,
        address ledger,
        SumTree.Payout calldata payout,
        uint256 index,
        SumTree.Node[] calldata proof
    ) external view returns (bool) {
        bytes32 leaf = SumTree.leafHash(ledger, payout.account, payout.cumulative);
        return SumTree.verify(root, total, leaf, payout.cumulative, index, proof);
    }

    function rebuild(
        address ledger,
        SumTree.Payout[] calldata payouts
    ) external view returns (bytes32 root, uint128 total) {
        return SumTree.rebuild(ledger, payouts);
    }

    function floorOf(uint256 amountWei, uint256 sharePpm) external pure returns (uint256) {
        return Ppm.floorOf(amountWei, sharePpm);
    }

    function ceilOf(uint256 amountWei, uint256 sharePpm) external pure returns (uint256) {
        return Ppm.ceilOf(amountWei, sharePpm);
    }

    function packVote(address key, uint96 weight) external pure returns (uint256 vote, address, uint96) {
        vote = Votes.pack(key, weight);
        return (vote, Votes.keyOf(vote), Votes.weightOf(vote));
    }
}
