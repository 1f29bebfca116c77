// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IAttributionLedger} from "../interfaces/IAttributionLedger.sol";
import {IEpochDisputes} from "../interfaces/IEpochDisputes.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {Influence} from "../libraries/Influence.sol";
import {Leaves} from "../libraries/Leaves.sol";
import {MerkleTree} from "../libraries/MerkleTree.sol";
import {Neighbours} from "../libraries/Neighbours.sol";
import {Proofs} from "./Proofs.sol";

/// @title Faults of one attribution: shares, floor, listed rows, one dot product
/// @notice Everything after the public sketch is exact integers, so nothing here has a tolerance.
contract AttributionProofs is Proofs {
    using Leaves for *;

    /// @notice A listed row as it stands under the scores root.
    struct ScoreAt {
        Leaves.RowScore score;
        uint256 index;
        bytes32[] proof;
    }

    /// @notice An index row with its packed int4 coordinates, as it stands under the index root at its position.
    struct RowAt {
        Leaves.IndexRow row;
        bytes32[] proof;
        bytes packed;
    }

    /// @notice Where versions are.
    IModelRegistry public immutable models;

    constructor(IEpochDisputes court_, IModelRegistry models_) Proofs(court_) {
        models = models_;
    }

    /// @notice The shares or the base part do not follow from the listed rows and the floor.
    function proveShares(
        IAttributionLedger.CommittedEpoch calldata committed,
        AttributionAt calldata shown,
        Influence.Listing calldata listing
    ) external {
        _requireAttribution(committed, shown);
        Leaves.Attribution calldata given = shown.attribution;
        uint256 capPpm = _version(given).recordCapPpm;
        (bytes32 scoresRoot, bytes32 sharesRoot, uint256 wholePpm) = Influence.divide(listing, given.floor, capPpm);
        _require(scoresRoot == given.scoresRoot, "listed rows");
        bool follows = sharesRoot == given.sharesRoot &&
            given.influencePpm == wholePpm &&
            given.retrievalPpm == 0 &&
            given.basePpm == 1_000_000 - wholePpm;
        _requireFault(!follows, "shares");
        _condemn(committed, "shares");
    }

    /// @notice The floor does not follow from the version's unit and the sketch's length.
    function proveFloor(
        IAttributionLedger.CommittedEpoch calldata committed,
        AttributionAt calldata shown,
        bytes calldata sketch
    ) external {
        _requireAttribution(committed, shown);
        _require(keccak256(sketch) == shown.attribution.sketchDigest && sketch.length != 0, "sketch");
        uint256 unit = _version(shown.attribution).floorUnit;
        uint256 floor = Math.sqrt((unit * unit * Influence.squaredLength(sketch)) / sketch.length);
        _requireFault(floor != shown.attribution.floor, "floor");
        _condemn(committed, "floor");
    }

    /// @notice A listed row is not above the floor, is a copy, or stands beyond the most that the method lists.
    function proveListed(
        IAttributionLedger.CommittedEpoch calldata committed,
        AttributionAt calldata shown,
        ScoreAt calldata listed
    ) external {
        _requireAttribution(committed, shown);
        _requireScore(shown.attribution, listed);
        bool belongs = listed.score.product > shown.attribution.floor &&
            listed.score.divisor != 0 &&
            listed.index < _version(shown.attribution).listedRows;
        _requireFault(!belongs, "listed row");
        _condemn(committed, "listed row");
    }

    /// @notice Two neighbouring listed rows do not stand by falling mass, then rising position.
    function proveListOrder(
        IAttributionLedger.CommittedEpoch calldata committed,
        AttributionAt calldata shown,
        Leaves.RowScore calldata left,
        Leaves.RowScore calldata right,
        Neighbours.Gap calldata gap
    ) external {
        _requireAttribution(committed, shown);
        _require(gap.place == Neighbours.Place.Between, "between");
        _requireGap(shown.attribution.scoresRoot, gap, left.hash(), right.hash(), "neighbours");
        _require(left.divisor != 0 && right.divisor != 0, "divisor");
        bool ascends = _isBefore(_massOf(left), left.position, _massOf(right), right.position);
        _requireFault(!ascends, "list order");
        _condemn(committed, "list order");
    }

    /// @notice A listed row's owner, Datanet, scale or divisor is not its index row's, or the index has no such row.
    function proveRow(
        IAttributionLedger.CommittedEpoch calldata committed,
        AttributionAt calldata shown,
        ScoreAt calldata listed,
        RowAt calldata of_
    ) external {
        _requireAttribution(committed, shown);
        _requireScore(shown.attribution, listed);
        Leaves.RowScore calldata score = listed.score;
        if (score.position < _version(shown.attribution).indexRows) {
            _requireRow(shown.attribution, of_, score.position);
            Leaves.IndexRow calldata row = of_.row;
            bool agrees = row.owner == score.owner &&
                row.datanetId == score.datanetId &&
                row.divisor == score.divisor &&
                row.scale == score.scale;
            _requireFault(!agrees, "row");
        }
        _condemn(committed, "row");
    }

    /// @notice A listed row's dot product with the sketch is another than stated, or the two cannot be multiplied.
    function proveProduct(
        IAttributionLedger.CommittedEpoch calldata committed,
        AttributionAt calldata shown,
        ScoreAt calldata listed,
        bytes calldata sketch,
        RowAt calldata of_
    ) external {
        _requireAttribution(committed, shown);
        _requireScore(shown.attribution, listed);
        _requireRow(shown.attribution, of_, listed.score.position);
        (bool isSound, int256 product) = _product(shown.attribution, sketch, of_);
        _requireFault(!isSound || product != int256(uint256(listed.score.product)), "product");
        _condemn(committed, "product");
    }

    /// @notice A row above the floor that belongs into the list is not in it.
    /// @param left The listed row before where it belongs.
    /// @param right The listed row after.
    function proveOmitted(
        IAttributionLedger.CommittedEpoch calldata committed,
        AttributionAt calldata shown,
        bytes calldata sketch,
        RowAt calldata of_,
        Leaves.RowScore calldata left,
        Leaves.RowScore calldata right,
        Neighbours.Gap calldata gap
    ) external {
        _requireAttribution(committed, shown);
        Leaves.IndexRow calldata row = of_.row;
        _requireRow(shown.attribution, of_, row.position);
        (bool isSound, int256 product) = _product(shown.attribution, sketch, of_);
        _require(isSound, "sketch");
        bool counts = product > int256(uint256(shown.attribution.floor)) && row.divisor != 0;
        _requireFault(counts, "omitted row");
        _requireGap(shown.attribution.scoresRoot, gap, left.hash(), right.hash(), "neighbours");
        uint256 mass = (uint256(product) * row.scale) / row.divisor;
        bool isGap = (!_hasLeft(gap.place) || _isBefore(_massOf(left), left.position, mass, row.position)) &&
            (!_hasRight(gap.place) || _isBefore(mass, row.position, _massOf(right), right.position));
        bool hasRoom = gap.place != Neighbours.Place.Last || gap.index + 1 < _version(shown.attribution).listedRows;
        _requireFault(isGap && hasRoom, "omitted row");
        _condemn(committed, "omitted row");
    }

    function _version(
        Leaves.Attribution calldata given
    ) private view returns (IModelRegistry.Commitment memory) {
        return models.commitmentOf(given.modelId, given.version);
    }

    function _product(
        Leaves.Attribution calldata given,
        bytes calldata sketch,
        RowAt calldata of_
    ) private pure returns (bool isSound, int256 product) {
        _require(keccak256(sketch) == given.sketchDigest, "sketch");
        _require(keccak256(of_.packed) == of_.row.rowDigest, "packed row");
        if (sketch.length != 2 * of_.packed.length) return (false, 0);
        return Influence.dotProduct(sketch, of_.packed);
    }

    function _requireScore(Leaves.Attribution calldata given, ScoreAt calldata listed) private pure {
        bool held = MerkleTree.verify(given.scoresRoot, listed.score.hash(), listed.index, listed.proof);
        _require(held, "listed row");
    }

    function _requireRow(Leaves.Attribution calldata given, RowAt calldata of_, uint256 position) private pure {
        _require(of_.row.position == position, "row position");
        _require(MerkleTree.verify(given.indexRoot, of_.row.hash(), position, of_.proof), "index row");
    }

    function _massOf(Leaves.RowScore calldata score) private pure returns (uint256) {
        return score.divisor == 0 ? 0 : (uint256(score.product) * score.scale) / score.divisor;
    }

    function _isBefore(
        uint256 mass,
        uint256 position,
        uint256 otherMass,
        uint256 otherPosition
    ) private pure returns (bool) {
        return mass > otherMass || (mass == otherMass && position < otherPosition);
    }
}
