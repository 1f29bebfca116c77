// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";

/// @title Merkle trees over keccak-256 whose proofs fix the leaf's position
/// @notice The Python twin is headwater.protocol.merkle. A leaf is hashed once more (32-byte input), so that no inner
/// node (64-byte input) passes as a leaf; left and right follow from the index; the list is padded to a power of two
/// with zero hashes, which have no preimage. A proof has exactly as many siblings as the tree has levels below its
/// root. The empty list has the root zero, which verifies nothing.
library MerkleTree {
    /// @notice The longest proof that is looked at.
    uint256 internal constant MAX_DEPTH = 40;

    /// @notice Hash of the leaf that carries `structHash`.
    function leafHash(bytes32 structHash) internal pure returns (bytes32) {
        return keccak256(abi.encode(structHash));
    }

    /// @notice Whether `structHash` stands at `index` under `root`.
    /// @param proof Siblings from the leaf's level upwards.
    function verify(
        bytes32 root,
        bytes32 structHash,
        uint256 index,
        bytes32[] calldata proof
    ) internal pure returns (bool) {
        if (root == 0 || proof.length > MAX_DEPTH || index >> proof.length != 0) return false;
        bytes32 node = leafHash(structHash);
        for (uint256 height = 0; height < proof.length; ++height) {
            bytes32 sibling = proof[height];
            node = (index >> height) & 1 == 0
                ? Hashes.efficientKeccak256(node, sibling)
                : Hashes.efficientKeccak256(sibling, node);
        }
        return node == root;
    }

    /// @notice Root of the whole tree over `structHashes`, rebuilt in place of a copy; zero for none.
    function rootOf(bytes32[] calldata structHashes) internal pure returns (bytes32) {
        uint256 count = structHashes.length;
        bytes32[] memory leaves = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) leaves[i] = leafHash(structHashes[i]);
        return rootOfLeaves(leaves);
    }

    /// @notice Root over leaves that are hashed already, which are overwritten; zero for none.
    function rootOfLeaves(bytes32[] memory level) internal pure returns (bytes32) {
        uint256 count = level.length;
        if (count == 0) return 0;
        bytes32 padding; // the root of an all-padding subtree of this height
        while (count > 1) {
            uint256 parents = (count + 1) / 2;
            for (uint256 i = 0; i < parents; ++i) {
                bytes32 right = 2 * i + 1 < count ? level[2 * i + 1] : padding;
                level[i] = Hashes.efficientKeccak256(level[2 * i], right);
            }
            padding = Hashes.efficientKeccak256(padding, padding);
            count = parents;
        }
        return level[0];
    }
}
