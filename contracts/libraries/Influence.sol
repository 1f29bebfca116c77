// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Leaves} from "./Leaves.sol";
import {MerkleTree} from "./MerkleTree.sol";

/// @title From listed index rows to shares in ppm, and one dot product, in exact integers
/// @notice The Python twin is headwater.protocol.influence, whose head states the rule.
library Influence {
    /// @notice All rows that an attribution lists, in order, packed: unpacked they would cost twice the calldata.
    /// @param rows position << 224 | product << 192 | scale << 128 | divisor << 96 | place in `groups`.
    /// @param groups owner << 96 | place in `datanets`; strictly ascending by (owner, Datanet id).
    /// @param datanets The Datanet ids.
    /// @param raised Bit g: group g gets one ppm of the rest. What is raised is checked, not computed.
    struct Listing {
        uint256[] rows;
        uint256[] groups;
        bytes32[] datanets;
        uint256 raised;
    }

    /// @notice The listing is longer than any method lists.
    error TooManyRows(uint256 count);
    /// @notice Groups do not ascend at this place.
    error GroupsNotAscending(uint256 place);
    /// @notice A listed row is a copy or not above the floor: that is a fault of its own, proved elsewhere.
    error RowDoesNotCount(uint256 place);
    /// @notice The rest does not go to the largest remainders.
    error WrongRest(uint256 rest, uint256 raised);

    uint256 internal constant MAX_ROWS = 64;
    uint256 private constant WHOLE = 1_000_000;

    /// @notice What the method gives for the listed rows.
    /// @return scoresRoot The root that the listing has.
    /// @return sharesRoot The root that its shares have.
    /// @return wholePpm What all shares add up to.
    function divide(
        Listing calldata listing,
        uint256 floor,
        uint256 capPpm
    ) internal pure returns (bytes32 scoresRoot, bytes32 sharesRoot, uint256 wholePpm) {
        uint256 count = listing.rows.length;
        if (count > MAX_ROWS || listing.groups.length > count) revert TooManyRows(count);
        _requireAscending(listing);
        scoresRoot = _scoresRoot(listing);
        uint256 mass = _massOf(listing, floor);
        if (mass == 0) return (scoresRoot, 0, 0);
        uint256[] memory earned = _earned(listing, floor, (mass * capPpm) / WHOLE);
        uint256 sum;
        for (uint256 g = 0; g < earned.length; ++g) sum += earned[g];
        wholePpm = (WHOLE * sum) / mass;
        if (sum != 0) sharesRoot = _sharesRoot(listing, _ppm(earned, sum, wholePpm, listing.raised));
    }

    /// @notice Sum of the squares of int8 coordinates.
    function squaredLength(bytes calldata sketch) internal pure returns (uint256 sum) {
        assembly ("memory-safe") {
            let end := add(sketch.offset, sketch.length)
            for {
                let cursor := sketch.offset
            } lt(cursor, end) {
                cursor := add(cursor, 1)
            } {
                let coordinate := signextend(0, byte(0, calldataload(cursor)))
                sum := add(sum, mul(coordinate, coordinate))
            }
        }
    }

    /// @notice Dot product of an int8 sketch with an int4 row of half its bytes: coordinate 2j in byte j's low nibble.
    /// @return isSound Whether no coordinate of the sketch is -128, which no sketch has.
    function dotProduct(
        bytes calldata sketch,
        bytes calldata row
    ) internal pure returns (bool isSound, int256 product) {
        isSound = true;
        assembly ("memory-safe") {
            let cursor := sketch.offset
            let end := add(row.offset, row.length)
            for {
                let place := row.offset
            } lt(place, end) {
                place := add(place, 1)
                cursor := add(cursor, 2)
            } {
                let pair := byte(0, calldataload(place))
                let word := calldataload(cursor)
                let low := signextend(0, byte(0, word))
                let high := signextend(0, byte(1, word))
                if or(eq(byte(0, word), 0x80), eq(byte(1, word), 0x80)) {
                    isSound := 0
                }
                // (x ^ 8) - 8 extends the sign of a nibble.
                product := add(product, mul(low, sub(xor(and(pair, 15), 8), 8)))
                product := add(product, mul(high, sub(xor(shr(4, pair), 8), 8)))
            }
        }
    }

    function _requireAscending(Listing calldata listing) private pure {
        for (uint256 g = 1; g < listing.groups.length; ++g) {
            (uint256 left, uint256 right) = (listing.groups[g - 1], listing.groups[g]);
            (uint256 leftOwner, uint256 rightOwner) = (left >> 96, right >> 96);
            if (leftOwner < rightOwner) continue;
            bool ascends = leftOwner == rightOwner &&
                listing.datanets[uint96(left)] < listing.datanets[uint96(right)];
            if (!ascends) revert GroupsNotAscending(g);
        }
    }

    function _scoresRoot(Listing calldata listing) private pure returns (bytes32) {
        uint256 count = listing.rows.length;
        bytes32[] memory leaves = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            uint256 row = listing.rows[i];
            uint256 group = listing.groups[uint96(row)];
            leaves[i] = _scoreLeaf(row, group >> 96, listing.datanets[uint96(group)]);
        }
        return MerkleTree.rootOfLeaves(leaves);
    }

    function _scoreLeaf(uint256 row, uint256 owner, bytes32 datanetId) private pure returns (bytes32 leaf) {
        bytes32 typeHash = Leaves.ROW_SCORE_TYPEHASH;
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, typeHash)
            mstore(add(words, 0x20), shr(224, row))
            mstore(add(words, 0x40), and(shr(192, row), 0xffffffff))
            mstore(add(words, 0x60), and(shr(128, row), 0xffffffffffffffff))
            mstore(add(words, 0x80), and(shr(96, row), 0xffffffff))
            mstore(add(words, 0xa0), owner)
            mstore(add(words, 0xc0), datanetId)
            mstore(0x00, keccak256(words, 0xe0))
            leaf := keccak256(0x00, 0x20)
        }
    }

    function _massOf(Listing calldata listing, uint256 floor) private pure returns (uint256 mass) {
        for (uint256 i = 0; i < listing.rows.length; ++i) {
            uint256 row = listing.rows[i];
            uint256 product = uint32(row >> 192);
            uint256 divisor = uint32(row >> 96);
            if (divisor == 0 || product <= floor) revert RowDoesNotCount(i);
            mass += (product * uint64(row >> 128)) / divisor;
        }
    }

    function _earned(
        Listing calldata listing,
        uint256 floor,
        uint256 cap
    ) private pure returns (uint256[] memory earned) {
        earned = new uint256[](listing.groups.length);
        for (uint256 i = 0; i < listing.rows.length; ++i) {
            uint256 row = listing.rows[i];
            uint256 excess = ((uint32(row >> 192) - floor) * uint64(row >> 128)) / uint32(row >> 96);
            earned[uint96(row)] += excess < cap ? excess : cap;
        }
    }

    /// @dev Hamilton's method: floors, then one more each to the largest remainders, ties to the earlier group. That
    /// `raised` are these is seen from the least of them and the greatest of the others.
    function _ppm(
        uint256[] memory earned,
        uint256 sum,
        uint256 whole,
        uint256 raised
    ) private pure returns (uint256[] memory ppm) {
        uint256 count = earned.length;
        ppm = new uint256[](count);
        uint256 rest = whole;
        uint256 raisedCount;
        uint256 leastRaised = type(uint256).max;
        uint256 greatestOther;
        for (uint256 g = 0; g < count; ++g) {
            uint256 product = earned[g] * whole;
            (uint256 part, uint256 remainder) = (product / sum, product % sum);
            rest -= part;
            // Remainder first, then the earlier group: one number for both; remainders are far below 2^248.
            uint256 rank = (remainder << 8) | (255 - g);
            if ((raised >> g) & 1 == 1) {
                part += 1;
                raisedCount += 1;
                if (rank < leastRaised) leastRaised = rank;
            } else if (rank > greatestOther) {
                greatestOther = rank;
            }
            ppm[g] = part;
        }
        if (raised >> count != 0 || raisedCount != rest || leastRaised < greatestOther) {
            revert WrongRest(rest, raised);
        }
    }

    function _sharesRoot(Listing calldata listing, uint256[] memory ppm) private pure returns (bytes32) {
        bytes32[] memory leaves = new bytes32[](ppm.length);
        uint256 count;
        for (uint256 g = 0; g < ppm.length; ++g) {
            if (ppm[g] == 0) continue;
            uint256 group = listing.groups[g];
            bytes32 typeHash = Leaves.OWNER_SHARE_TYPEHASH;
            // Kind 0: influence.
            bytes32 struct_ = keccak256(
                abi.encode(typeHash, uint256(0), group >> 96, listing.datanets[uint96(group)], ppm[g])
            );
            leaves[count++] = MerkleTree.leafHash(struct_);
        }
        assembly ("memory-safe") {
            mstore(leaves, count)
        }
        return MerkleTree.rootOfLeaves(leaves);
    }
}
