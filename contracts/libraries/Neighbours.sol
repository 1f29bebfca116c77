// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {MerkleTree} from "./MerkleTree.sol";
import {SumTree} from "./SumTree.sol";

/// @title That two leaves stand side by side, or that one is the first or the last of its tree
/// @notice Lists under a root ascend strictly, so two neighbours show what is missing between them, what is out of order,
/// and where a range of equal keys begins and ends. The Python twin is headwater.protocol.neighbours.
library Neighbours {
    /// @notice Where a gap lies: between two leaves, before the first, after the last, or in an empty tree.
    enum Place {
        Between,
        First,
        Last,
        Empty
    }

    /// @notice A gap in a {MerkleTree}.
    /// @param index Of the leaf left of the gap; of the one right of it where the gap is the first.
    /// @param proof That leaf's siblings.
    /// @param below Only for Between: the right leaf's siblings, up to where both leaves' ways to the root meet.
    struct Gap {
        Place place;
        uint256 index;
        bytes32[] proof;
        bytes32[] below;
    }

    /// @notice A gap in a {SumTree}; members as in {Gap}.
    struct SumGap {
        Place place;
        uint256 index;
        SumTree.Node[] proof;
        SumTree.Node[] below;
    }

    /// @notice Whether nothing but padding stands right of the leaf at `index`, whose proof has been checked.
    function isLast(uint256 index, bytes32[] calldata proof) internal pure returns (bool) {
        bytes32 padding;
        for (uint256 height = 0; height < proof.length; ++height) {
            if ((index >> height) & 1 == 0 && proof[height] != padding) return false;
            padding = Hashes.efficientKeccak256(padding, padding);
        }
        return true;
    }

    /// @notice Whether the gap between the leaves with these struct hashes is where `gap` says, under `root`.
    /// @dev Of First only `right` is looked at, of Last only `left`, of Empty none.
    function holds(bytes32 root, Gap calldata gap, bytes32 left, bytes32 right) internal pure returns (bool) {
        if (gap.place == Place.Empty) return root == 0;
        if (gap.place == Place.First) return gap.index == 0 && MerkleTree.verify(root, right, 0, gap.proof);
        if (!MerkleTree.verify(root, left, gap.index, gap.proof)) return false;
        if (gap.place == Place.Last) return isLast(gap.index, gap.proof);
        uint256 meet = gap.below.length;
        if (!_meetsAt(gap.index, meet, gap.proof.length)) return false;
        bytes32 node = MerkleTree.leafHash(right);
        for (uint256 height = 0; height < meet; ++height) {
            node = Hashes.efficientKeccak256(node, gap.below[height]);
        }
        return node == gap.proof[meet];
    }

    /// @notice Root and total over a leaf at `index`, and the sum of all leaves before it.
    /// @param leaf From {SumTree.leafHash} or {MerkleTree.leafHash}.
    function climb(
        bytes32 leaf,
        uint256 amount,
        uint256 index,
        SumTree.Node[] calldata proof
    ) internal pure returns (bytes32 root, uint256 total, uint256 before) {
        if (proof.length > SumTree.MAX_DEPTH || index >> proof.length != 0) return (0, 0, 0);
        (root, total) = (leaf, amount);
        for (uint256 height = 0; height < proof.length; ++height) {
            (bytes32 siblingHash, uint256 siblingSum) = (proof[height].hash, proof[height].sum);
            if ((index >> height) & 1 == 0) {
                root = SumTree.parentHash(root, total, siblingHash, siblingSum);
            } else {
                root = SumTree.parentHash(siblingHash, siblingSum, root, total);
                before += siblingSum;
            }
            total += siblingSum; // at most 41 terms below 2^128
        }
    }

    /// @notice As {isLast}, in a sum tree.
    function isLastSum(uint256 index, SumTree.Node[] calldata proof) internal pure returns (bool) {
        bytes32 padding;
        for (uint256 height = 0; height < proof.length; ++height) {
            if ((index >> height) & 1 == 0 && (proof[height].hash != padding || proof[height].sum != 0)) return false;
            padding = SumTree.parentHash(padding, 0, padding, 0);
        }
        return true;
    }

    /// @notice As {holds}, in a sum tree; leaf hashes are full ones, and come with their amounts.
    /// @return held Whether the gap is there.
    /// @return before The sum of all leaves left of the gap.
    /// @return total The sum of all leaves.
    function holdsSum(
        bytes32 root,
        SumGap calldata gap,
        SumTree.Node memory left,
        SumTree.Node memory right
    ) internal pure returns (bool held, uint256 before, uint256 total) {
        bytes32 found;
        if (gap.place == Place.Empty) return (root == 0, 0, 0);
        if (gap.place == Place.First) {
            if (gap.index != 0) return (false, 0, 0);
            (found, total, ) = climb(right.hash, right.sum, 0, gap.proof);
            return (found == root && root != 0, 0, total);
        }
        (found, total, before) = climb(left.hash, left.sum, gap.index, gap.proof);
        if (found != root || root == 0) return (false, 0, 0);
        before += left.sum;
        if (gap.place == Place.Last) return (isLastSum(gap.index, gap.proof), before, total);
        return (_follows(gap, right), before, total);
    }

    function _follows(SumGap calldata gap, SumTree.Node memory right) private pure returns (bool) {
        uint256 meet = gap.below.length;
        if (!_meetsAt(gap.index, meet, gap.proof.length)) return false;
        (bytes32 node, uint256 sum) = (right.hash, right.sum);
        for (uint256 height = 0; height < meet; ++height) {
            node = SumTree.parentHash(node, sum, gap.below[height].hash, gap.below[height].sum);
            sum += gap.below[height].sum;
        }
        return node == gap.proof[meet].hash && sum == gap.proof[meet].sum;
    }

    /// @dev Whether `index` ends in exactly `meet` ones: there the way of the next leaf joins this one's.
    function _meetsAt(uint256 index, uint256 meet, uint256 depth) private pure returns (bool) {
        return meet < depth && (index + 1) & ((uint256(2) << meet) - 1) == uint256(1) << meet;
    }
}
