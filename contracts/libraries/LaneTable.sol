// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {Leaves} from "./Leaves.sol";
import {MerkleTree} from "./MerkleTree.sol";

/// @title Where a lane stands in an epoch's lane table, or that it is not in it
/// @notice The table ascends strictly by lane, so two neighbours around a lane's place show that it is not listed.
library LaneTable {
    using Leaves for Leaves.LaneRow;

    /// @notice The neighbours of a place where a lane would stand.
    /// @param index The index of `right`; 0: the lane would come first, and `left` is not looked at.
    /// @param isLast Nothing follows `left`: `right` is not looked at, and `rightProof` shows padding there, or is empty
    /// where `left` fills the tree's last place.
    struct Absence {
        uint256 index;
        bool isLast;
        Leaves.LaneRow left;
        bytes32[] leftProof;
        Leaves.LaneRow right;
        bytes32[] rightProof;
    }

    /// @notice Whether `row` stands at `index`.
    function isListed(
        bytes32 lanesRoot,
        Leaves.LaneRow calldata row,
        uint256 index,
        bytes32[] calldata proof
    ) internal pure returns (bool) {
        return MerkleTree.verify(lanesRoot, row.hash(), index, proof);
    }

    /// @notice Whether the table lists no such lane.
    function isAbsent(bytes32 lanesRoot, bytes32 laneId, Absence calldata given) internal pure returns (bool) {
        if (lanesRoot == 0) return true;
        if (given.index == 0) return !given.isLast && _isRight(lanesRoot, laneId, given);
        bool isLeft = given.left.laneId < laneId &&
            isListed(lanesRoot, given.left, given.index - 1, given.leftProof);
        return isLeft && (given.isLast ? _isEnd(lanesRoot, given) : _isRight(lanesRoot, laneId, given));
    }

    function _isRight(bytes32 lanesRoot, bytes32 laneId, Absence calldata given) private pure returns (bool) {
        return laneId < given.right.laneId && isListed(lanesRoot, given.right, given.index, given.rightProof);
    }

    function _isEnd(bytes32 lanesRoot, Absence calldata given) private pure returns (bool) {
        if (given.index == 1 << given.leftProof.length) return true;
        return _isPadding(lanesRoot, given.index, given.rightProof);
    }

    /// @dev Padding is the zero hash in a leaf's place; no leaf hashes to it.
    function _isPadding(bytes32 root, uint256 index, bytes32[] calldata proof) private pure returns (bool) {
        if (proof.length > MerkleTree.MAX_DEPTH || index >> proof.length != 0) return false;
        bytes32 node;
        for (uint256 height = 0; height < proof.length; ++height) {
            node = (index >> height) & 1 == 0
                ? Hashes.efficientKeccak256(node, proof[height])
                : Hashes.efficientKeccak256(proof[height], node);
        }
        return node == root;
    }
}
