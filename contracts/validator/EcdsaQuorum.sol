// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IQuorum} from "../interfaces/IQuorum.sol";
import {IStaking} from "../interfaces/IStaking.sol";

/// @title A quorum of single ECDSA signatures, see {IQuorum}
/// @dev The quorum is a fraction, because 2/3 is not a whole number of ppm: at 666,667 ppm two of three equal
/// validators would fail, at 666,666 one wei less than two thirds would pass.
contract EcdsaQuorum is IQuorum {
    /// @notice A constructor argument is out of its bounds: 1/2 < quorum <= 1.
    error QuorumOutOfBounds(uint32 numerator, uint32 denominator);

    uint256 private constant SIGNATURE_BYTES = 65;

    /// @dev Half of the order of secp256k1: the largest s (EIP-2).
    uint256 private constant HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

    /// @notice Whose weights count.
    IStaking public immutable staking;

    /// @notice The quorum is numerator / denominator of the set's stake, rounded up to a wei.
    uint32 public immutable numerator;

    /// @notice See {numerator}.
    uint32 public immutable denominator;

    constructor(IStaking staking_, uint32 numerator_, uint32 denominator_) {
        if (2 * uint256(numerator_) <= denominator_ || numerator_ > denominator_) {
            revert QuorumOutOfBounds(numerator_, denominator_);
        }
        staking = staking_;
        numerator = numerator_;
        denominator = denominator_;
    }

    /// @inheritdoc IQuorum
    function requireQuorum(
        uint64 setId,
        bytes32 digest,
        bytes calldata signatures
    ) external view returns (uint256[] memory votes) {
        uint256 weight;
        uint256 total;
        (votes, weight, total) = staking.votesOf(setId, _recoverAll(digest, signatures));
        uint256 needed = neededOf(total);
        if (weight < needed) revert QuorumNotReached(weight, needed);
    }

    /// @inheritdoc IQuorum
    function neededOf(uint256 total) public view returns (uint256) {
        return (total * numerator + denominator - 1) / denominator;
    }

    /// @dev A signature that recovers nobody is the zero address, which no strict ascent starts with.
    function _recoverAll(bytes32 digest, bytes calldata signatures) private pure returns (address[] memory keys) {
        uint256 count = signatures.length / SIGNATURE_BYTES;
        if (count == 0 || count * SIGNATURE_BYTES != signatures.length) revert MalformedSignatures(signatures.length);
        keys = new address[](count);
        address previous;
        for (uint256 i = 0; i < count; ++i) {
            bytes32 r;
            bytes32 s;
            uint8 v;
            // Slices would check bounds that the length above settles, for each of a few dozen signatures.
            assembly ("memory-safe") {
                let at := add(signatures.offset, mul(i, SIGNATURE_BYTES))
                r := calldataload(at)
                s := calldataload(add(at, 0x20))
                v := byte(0, calldataload(add(at, 0x40)))
            }
            // A high s would be a second signature of the same key; the zero address ascends after nothing.
            address key = uint256(s) > HALF_ORDER ? address(0) : ecrecover(digest, v, r, s);
            if (key <= previous) revert SignersNotAscending(i);
            (keys[i], previous) = (key, key);
        }
    }
}
