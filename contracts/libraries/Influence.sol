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

    uint256 private constant BYTE_SIGNS = 0x8080808080808080808080808080808080808080808080808080808080808080;
    uint256 private constant NIBBLE_SIGNS = 0x8888888888888888888888888888888888888888888888888888888888888888;
    uint256 private constant LOW_NIBBLES = 0x0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f;
    uint256 private constant LOWEST_BITS = 0x0101010101010101010101010101010101010101010101010101010101010101;
    uint256 private constant EVERY_OTHER_BYTE = 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff;
    uint256 private constant SUM_OF_LANES = 0x0001000100010001000100010001000100010001000100010001000100010001;
    uint256 private constant HIGH_HALF = 0xffffffffffffffffffffffffffffffff00000000000000000000000000000000;

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
    /// @dev 32 at a time. With a' = a + 128 (one XOR a word), sum(a^2) = sum(a'^2) - 256 sum(a') + 16384 n.
    function squaredLength(bytes calldata sketch) internal pure returns (uint256 sum) {
        assembly ("memory-safe") {
            let end := add(sketch.offset, sketch.length)
            let squares := 0
            let coordinates := 0
            for {
                let cursor := sketch.offset
            } lt(cursor, end) {
                cursor := add(cursor, 32)
            } {
                let s := xor(calldataload(cursor), BYTE_SIGNS)
                let left := sub(end, cursor)
                if lt(left, 32) {
                    let gone := shl(3, sub(32, left))
                    s := shl(gone, shr(gone, s))
                }
                squares := add(squares, mul(byte(0, s), byte(0, s)))
                squares := add(squares, mul(byte(1, s), byte(1, s)))
                squares := add(squares, mul(byte(2, s), byte(2, s)))
                squares := add(squares, mul(byte(3, s), byte(3, s)))
                squares := add(squares, mul(byte(4, s), byte(4, s)))
                squares := add(squares, mul(byte(5, s), byte(5, s)))
                squares := add(squares, mul(byte(6, s), byte(6, s)))
                squares := add(squares, mul(byte(7, s), byte(7, s)))
                squares := add(squares, mul(byte(8, s), byte(8, s)))
                squares := add(squares, mul(byte(9, s), byte(9, s)))
                squares := add(squares, mul(byte(10, s), byte(10, s)))
                squares := add(squares, mul(byte(11, s), byte(11, s)))
                squares := add(squares, mul(byte(12, s), byte(12, s)))
                squares := add(squares, mul(byte(13, s), byte(13, s)))
                squares := add(squares, mul(byte(14, s), byte(14, s)))
                squares := add(squares, mul(byte(15, s), byte(15, s)))
                squares := add(squares, mul(byte(16, s), byte(16, s)))
                squares := add(squares, mul(byte(17, s), byte(17, s)))
                squares := add(squares, mul(byte(18, s), byte(18, s)))
                squares := add(squares, mul(byte(19, s), byte(19, s)))
                squares := add(squares, mul(byte(20, s), byte(20, s)))
                squares := add(squares, mul(byte(21, s), byte(21, s)))
                squares := add(squares, mul(byte(22, s), byte(22, s)))
                squares := add(squares, mul(byte(23, s), byte(23, s)))
                squares := add(squares, mul(byte(24, s), byte(24, s)))
                squares := add(squares, mul(byte(25, s), byte(25, s)))
                squares := add(squares, mul(byte(26, s), byte(26, s)))
                squares := add(squares, mul(byte(27, s), byte(27, s)))
                squares := add(squares, mul(byte(28, s), byte(28, s)))
                squares := add(squares, mul(byte(29, s), byte(29, s)))
                squares := add(squares, mul(byte(30, s), byte(30, s)))
                squares := add(squares, mul(byte(31, s), byte(31, s)))
                let pairs := add(and(s, EVERY_OTHER_BYTE), and(shr(8, s), EVERY_OTHER_BYTE))
                coordinates := add(coordinates, shr(240, mul(pairs, SUM_OF_LANES)))
            }
            sum := add(sub(squares, shl(8, coordinates)), shl(14, sketch.length))
        }
    }

    /// @notice Dot product of an int8 sketch with an int4 row of half its bytes: coordinate 2j in byte j's low nibble.
    /// @dev 32 coordinates at a time. With a' = a + 128 and b' = b + 8 (one XOR a word), sum(ab) = sum(a'b')
    /// - 8 sum(a') - 128 sum(b') + 1024 n.
    /// @return isSound Whether no coordinate of the sketch is -128, which no sketch has.
    function dotProduct(
        bytes calldata sketch,
        bytes calldata row
    ) internal pure returns (bool isSound, int256 product) {
        isSound = true;
        assembly ("memory-safe") {
            let cursor := sketch.offset
            let end := add(row.offset, row.length)
            let products := 0
            let sketchSum := 0
            let rowSum := 0
            for {
                let place := row.offset
            } lt(place, end) {
                place := add(place, 16)
                cursor := add(cursor, 32)
            } {
                let s := xor(calldataload(cursor), BYTE_SIGNS)
                let r := and(xor(calldataload(place), NIBBLE_SIGNS), HIGH_HALF)
                let filled := s
                let left := sub(end, place)
                if lt(left, 16) {
                    // What calldata holds beyond the two is masked away: it counts as zero, and as no coordinate.
                    let gone := shl(4, sub(16, left))
                    filled := or(s, sub(shl(gone, 1), 1))
                    s := shl(gone, shr(gone, s))
                    gone := add(128, shr(1, gone))
                    r := shl(gone, shr(gone, r))
                }
                let low := and(r, LOW_NIBBLES)
                let high := and(shr(4, r), LOW_NIBBLES)
                products := add(products, mul(byte(0, s), byte(0, low)))
                products := add(products, mul(byte(1, s), byte(0, high)))
                products := add(products, mul(byte(2, s), byte(1, low)))
                products := add(products, mul(byte(3, s), byte(1, high)))
                products := add(products, mul(byte(4, s), byte(2, low)))
                products := add(products, mul(byte(5, s), byte(2, high)))
                products := add(products, mul(byte(6, s), byte(3, low)))
                products := add(products, mul(byte(7, s), byte(3, high)))
                products := add(products, mul(byte(8, s), byte(4, low)))
                products := add(products, mul(byte(9, s), byte(4, high)))
                products := add(products, mul(byte(10, s), byte(5, low)))
                products := add(products, mul(byte(11, s), byte(5, high)))
                products := add(products, mul(byte(12, s), byte(6, low)))
                products := add(products, mul(byte(13, s), byte(6, high)))
                products := add(products, mul(byte(14, s), byte(7, low)))
                products := add(products, mul(byte(15, s), byte(7, high)))
                products := add(products, mul(byte(16, s), byte(8, low)))
                products := add(products, mul(byte(17, s), byte(8, high)))
                products := add(products, mul(byte(18, s), byte(9, low)))
                products := add(products, mul(byte(19, s), byte(9, high)))
                products := add(products, mul(byte(20, s), byte(10, low)))
                products := add(products, mul(byte(21, s), byte(10, high)))
                products := add(products, mul(byte(22, s), byte(11, low)))
                products := add(products, mul(byte(23, s), byte(11, high)))
                products := add(products, mul(byte(24, s), byte(12, low)))
                products := add(products, mul(byte(25, s), byte(12, high)))
                products := add(products, mul(byte(26, s), byte(13, low)))
                products := add(products, mul(byte(27, s), byte(13, high)))
                products := add(products, mul(byte(28, s), byte(14, low)))
                products := add(products, mul(byte(29, s), byte(14, high)))
                products := add(products, mul(byte(30, s), byte(15, low)))
                products := add(products, mul(byte(31, s), byte(15, high)))
                // Sums of lanes: a multiplication adds all lanes into the highest one.
                let lanes := add(and(s, EVERY_OTHER_BYTE), and(shr(8, s), EVERY_OTHER_BYTE))
                sketchSum := add(sketchSum, shr(240, mul(lanes, SUM_OF_LANES)))
                lanes := add(low, high)
                lanes := add(and(lanes, EVERY_OTHER_BYTE), and(shr(8, lanes), EVERY_OTHER_BYTE))
                rowSum := add(rowSum, shr(240, mul(lanes, SUM_OF_LANES)))
                // A zero byte is a coordinate of -128; the classic test is exact for whether there is any.
                if and(and(sub(filled, LOWEST_BITS), not(filled)), BYTE_SIGNS) {
                    isSound := 0
                }
            }
            let count := shl(1, row.length)
            product := add(sub(sub(products, shl(3, sketchSum)), shl(7, rowSum)), shl(10, count))
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
        uint256[] calldata rows = listing.rows;
        uint256[] calldata groups = listing.groups;
        bytes32[] calldata datanets = listing.datanets;
        bytes32[] memory leaves = new bytes32[](rows.length);
        for (uint256 i = 0; i < rows.length; ++i) {
            uint256 group = groups[uint96(rows[i])];
            leaves[i] = _scoreLeaf(rows[i], group >> 96, datanets[uint96(group)]);
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

    /// @dev Kind 0: influence.
    function _shareLeaf(uint256 owner, bytes32 datanetId, uint256 ppm) private pure returns (bytes32 leaf) {
        bytes32 typeHash = Leaves.OWNER_SHARE_TYPEHASH;
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, typeHash)
            mstore(add(words, 0x20), 0)
            mstore(add(words, 0x40), owner)
            mstore(add(words, 0x60), datanetId)
            mstore(add(words, 0x80), ppm)
            mstore(0x00, keccak256(words, 0xa0))
            leaf := keccak256(0x00, 0x20)
        }
    }

    /// @dev Unchecked here and below: products are below 2^32, scales below 2^64, and there are at most 64 of them.
    function _massOf(Listing calldata listing, uint256 floor) private pure returns (uint256 mass) {
        uint256[] calldata rows = listing.rows;
        for (uint256 i = 0; i < rows.length; ++i) {
            uint256 row = rows[i];
            uint256 product = uint32(row >> 192);
            uint256 divisor = uint32(row >> 96);
            if (divisor == 0 || product <= floor) revert RowDoesNotCount(i);
            unchecked {
                mass += (product * uint64(row >> 128)) / divisor;
            }
        }
    }

    function _earned(
        Listing calldata listing,
        uint256 floor,
        uint256 cap
    ) private pure returns (uint256[] memory earned) {
        uint256[] calldata rows = listing.rows;
        earned = new uint256[](listing.groups.length);
        for (uint256 i = 0; i < rows.length; ++i) {
            uint256 row = rows[i];
            unchecked {
                uint256 excess = ((uint32(row >> 192) - floor) * uint64(row >> 128)) / uint32(row >> 96);
                earned[uint96(row)] += excess < cap ? excess : cap;
            }
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
            unchecked {
                uint256 product = earned[g] * whole;
                uint256 part = product / sum;
                uint256 remainder = product - part * sum;
                rest -= part; // floors add up to at most the whole
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
            leaves[count++] = _shareLeaf(group >> 96, listing.datanets[uint96(group)], ppm[g]);
        }
        assembly ("memory-safe") {
            mstore(leaves, count)
        }
        return MerkleTree.rootOfLeaves(leaves);
    }
}
