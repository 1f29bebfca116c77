// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Merkle-sum tree of payouts: the root carries the total, so no set of proofs pays out more than it
/// @notice The Python twin is headwater.protocol.sumtree. Leaf hash = keccak(keccak(typed leaf)), leaf sum = the
/// account's cumulative wei; node hash = keccak(abi.encode(left hash, left sum, right hash, right sum)). Leaves ascend
/// strictly by account and are padded with (0, 0) to a power of two.
library SumTree {
    /// @notice A node's hash and the sum of the leaves below it.
    struct Node {
        bytes32 hash;
        uint128 sum;
    }

    /// @notice One account's total since the ledger began.
    struct Payout {
        address account;
        uint128 cumulative;
    }

    /// @notice The payouts do not ascend strictly by account at this position.
    error PayoutsNotAscending(uint256 position);

    /// @notice The payouts add up to more than uint128.
    error SumTooLarge(uint256 sum);

    /// @notice The longest proof that is looked at.
    uint256 internal constant MAX_DEPTH = 40;

    bytes32 internal constant PAYOUT_LEAF_TYPEHASH =
        keccak256("PayoutLeaf(uint256 chainId,address ledger,address account,uint128 cumulative)");

    /// @notice Hash of an account's leaf in the tree of `ledger` on this chain.
    function leafHash(address ledger, address account, uint128 cumulative) internal view returns (bytes32) {
        bytes32 typeHash = PAYOUT_LEAF_TYPEHASH;
        bytes32 structHash;
        // In scratch memory past the free pointer, so that rebuilding a whole tree does not expand memory.
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, typeHash)
            mstore(add(words, 0x20), chainid())
            mstore(add(words, 0x40), and(ledger, 0xffffffffffffffffffffffffffffffffffffffff))
            mstore(add(words, 0x60), and(account, 0xffffffffffffffffffffffffffffffffffffffff))
            mstore(add(words, 0x80), and(cumulative, 0xffffffffffffffffffffffffffffffff))
            mstore(0x00, keccak256(words, 0xa0))
            structHash := keccak256(0x00, 0x20)
        }
        return structHash;
    }

    /// @notice Hash of the node over two children. The caller checks that the sums add up within uint128.
    function parentHash(
        bytes32 leftHash,
        uint256 leftSum,
        bytes32 rightHash,
        uint256 rightSum
    ) internal pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, leftHash)
            mstore(add(words, 0x20), leftSum)
            mstore(add(words, 0x40), rightHash)
            mstore(add(words, 0x60), rightSum)
            hash := keccak256(words, 0x80)
        }
    }

    /// @notice Whether the leaf stands at `index` under (root, total).
    /// @param leaf From {leafHash}.
    /// @param cumulative The leaf's sum.
    /// @param proof Sibling nodes from the leaf's level upwards.
    function verify(
        bytes32 root,
        uint128 total,
        bytes32 leaf,
        uint128 cumulative,
        uint256 index,
        Node[] calldata proof
    ) internal pure returns (bool) {
        if (root == 0 || proof.length > MAX_DEPTH || index >> proof.length != 0) return false;
        bytes32 node = leaf;
        uint256 sum = cumulative;
        // As {parentHash}, in one piece of memory: a claim pays for each level. No sum above the total, so none overflows.
        assembly ("memory-safe") {
            let words := mload(0x40)
            let end := add(proof.offset, shl(6, proof.length))
            for {
                let at := proof.offset
                let path := index
            } lt(at, end) {
                at := add(at, 0x40)
                path := shr(1, path)
            } {
                let siblingSum := calldataload(add(at, 0x20))
                if gt(siblingSum, total) {
                    node := 0
                    break
                }
                let side := shl(6, and(path, 1)) // where the node stands: first or second
                mstore(add(words, side), node)
                mstore(add(add(words, side), 0x20), sum)
                let other := sub(0x40, side)
                mstore(add(words, other), calldataload(at))
                mstore(add(add(words, other), 0x20), siblingSum)
                node := keccak256(words, 0x80)
                sum := add(sum, siblingSum)
            }
        }
        return node == root && sum == total;
    }

    /// @notice Root and total of the whole tree, rebuilt from all its payouts in order.
    /// @dev Reverts with {PayoutsNotAscending} or {SumTooLarge}. No payouts: (0, 0).
    function rebuild(address ledger, Payout[] calldata payouts) internal view returns (bytes32 root, uint128 total) {
        uint256 count = payouts.length;
        if (count == 0) return (0, 0);
        bytes32[] memory hashes = new bytes32[](count);
        uint256[] memory sums = new uint256[](count);
        address previous;
        for (uint256 i = 0; i < count; ++i) {
            (address account, uint128 cumulative) = (payouts[i].account, payouts[i].cumulative);
            if (i != 0 && account <= previous) revert PayoutsNotAscending(i);
            previous = account;
            hashes[i] = leafHash(ledger, account, cumulative);
            sums[i] = cumulative;
        }
        bytes32 padding; // the hash of an all-padding subtree of this height
        while (count > 1) {
            count = _reduce(hashes, sums, count, padding);
            padding = parentHash(padding, 0, padding, 0);
        }
        return (hashes[0], uint128(sums[0]));
    }

    /// @dev Replaces the first `count` nodes by their parents, in place, and returns how many those are.
    function _reduce(
        bytes32[] memory hashes,
        uint256[] memory sums,
        uint256 count,
        bytes32 padding
    ) private pure returns (uint256 parents) {
        uint256 pairs = count / 2;
        for (uint256 i = 0; i < pairs; ++i) {
            uint256 left = 2 * i;
            (uint256 leftSum, uint256 rightSum) = (sums[left], sums[left + 1]);
            uint256 sum = leftSum + rightSum; // both below 2^128
            if (sum > type(uint128).max) revert SumTooLarge(sum);
            hashes[i] = parentHash(hashes[left], leftSum, hashes[left + 1], rightSum);
            sums[i] = sum;
        }
        if (count % 2 == 0) return pairs;
        hashes[pairs] = parentHash(hashes[count - 1], sums[count - 1], padding, 0);
        sums[pairs] = sums[count - 1];
        return pairs + 1;
    }
}
