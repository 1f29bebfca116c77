// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IQuorum} from "../interfaces/IQuorum.sol";
import {IStaking} from "../interfaces/IStaking.sol";
import {Signatures} from "../libraries/Signatures.sol";
import {Votes} from "../libraries/Votes.sol";

/// @title A quorum of single ECDSA signatures, see {IQuorum}
/// @dev The quorum is a fraction, because 2/3 is not a whole number of ppm: at 666,667 ppm two of three equal
/// validators would fail, at 666,666 one wei less than two thirds would pass.
contract EcdsaQuorum is IQuorum {
    /// @notice A constructor argument is out of its bounds: 1/2 < quorum <= 1.
    error QuorumOutOfBounds(uint32 numerator, uint32 denominator);

    uint256 private constant SIGNATURE_BYTES = 65;

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
        address[] memory keys = _recoverAll(digest, signatures);
        (uint96[] memory weights, uint256 total) = staking.weightsOf(setId, keys);
        votes = new uint256[](keys.length);
        uint256 weight;
        for (uint256 i = 0; i < keys.length; ++i) {
            if (weights[i] == 0) revert NotInValidatorSet(keys[i], setId);
            votes[i] = Votes.pack(keys[i], weights[i]);
            weight += weights[i];
        }
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
            uint256 start = i * SIGNATURE_BYTES;
            address key = Signatures.recover(digest, signatures[start:start + SIGNATURE_BYTES]);
            if (key <= previous) revert SignersNotAscending(i);
            (keys[i], previous) = (key, key);
        }
    }
}
