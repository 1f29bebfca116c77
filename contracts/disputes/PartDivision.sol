// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAttributionLedger} from "../interfaces/IAttributionLedger.sol";
import {IDatanetRegistry} from "../interfaces/IDatanetRegistry.sol";
import {IEpochDisputes} from "../interfaces/IEpochDisputes.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {Leaves} from "../libraries/Leaves.sol";
import {MerkleTree} from "../libraries/MerkleTree.sol";
import {Neighbours} from "../libraries/Neighbours.sol";
import {Ppm} from "../libraries/Ppm.sol";
import {Proofs} from "./Proofs.sol";

/// @title What one slot of one receipt's division is worth, and whose it is
/// @notice The Python twin is headwater.protocol.shares.divide_price. Payees that may change in the registries count only
/// if they have stood since before the epoch can have been proposed; later ones say nothing about it.
abstract contract PartDivision is Proofs {
    using Leaves for *;

    /// @notice What a part follows from.
    /// @param attribution At the receipt's index; looked at for slots that depend on it.
    /// @param shares For PROTOCOL_SLOT all shares, in order; for a share's slot that one; none if `end` shows that the
    /// attribution has fewer.
    /// @param place A share's slot: its proof; or the end of the shares, after the leaf with the struct hash `endLeaf`.
    struct Division {
        ReceiptAt receipt;
        AttributionAt attribution;
        Leaves.OwnerShare[] shares;
        bytes32 endLeaf;
        Neighbours.Gap place;
    }

    /// @notice Whether a receipt is struck.
    /// @param struck Its strike `left` stands at `gap.index` with `gap.proof`.
    struct StrikePlace {
        bool struck;
        Leaves.StrikeLeaf left;
        Leaves.StrikeLeaf right;
        Neighbours.Gap gap;
    }

    /// @notice Where the facts of a deployment are.
    struct Facts {
        IEpochDisputes court;
        IAttributionLedger ledger;
        IModelRegistry models;
        IDatanetRegistry datanets;
        address staking;
    }

    uint256 public constant REFUND_SLOT = 0;
    uint256 public constant MODEL_OWNER_SLOT = 1;
    uint256 public constant PROVIDER_SLOT = 2;
    uint256 public constant VALIDATORS_SLOT = 3;
    uint256 public constant PROTOCOL_SLOT = 4;
    uint256 public constant CONTRIBUTORS_BASE_SLOT = 5;
    uint256 public constant DATANET_OWNERS_BASE_SLOT = 6;
    uint256 public constant FIRST_SHARE_SLOT = 7;

    /// @notice Shares that one attribution may have: as many as rows that it may list.
    uint256 public constant MAX_SHARES = 64;

    IAttributionLedger public immutable ledger;
    IModelRegistry public immutable models;
    IDatanetRegistry public immutable datanets;
    address public immutable staking;

    constructor(Facts memory facts) Proofs(facts.court) {
        ledger = facts.ledger;
        models = facts.models;
        datanets = facts.datanets;
        staking = facts.staking;
    }

    /// @dev Wei that the division gives for `slot`. Proves receipt, attribution and shares on the way.
    function _amountOf(
        IAttributionLedger.CommittedEpoch calldata committed,
        uint256 slot,
        Division calldata given
    ) internal view returns (uint256) {
        _requireReceipt(committed, given.receipt);
        Leaves.Receipt calldata receipt = given.receipt.receipt;
        uint256 price = receipt.price;
        if (slot == REFUND_SLOT) return price;
        IModelRegistry.PriceSplit memory split = models.splitOf(receipt.modelId, receipt.version);
        if (slot == MODEL_OWNER_SLOT) return Ppm.floorOf(price, split.modelOwnerPpm);
        if (slot == PROVIDER_SLOT) return Ppm.floorOf(price, split.providerPpm);
        if (slot == VALIDATORS_SLOT) return Ppm.floorOf(price, split.validatorsPpm);
        _requireAttribution(committed, given.attribution);
        _require(given.attribution.index == given.receipt.index, "same index");
        if (slot == PROTOCOL_SLOT) return _rest(price, split, given);
        bool isDatanets = slot >= FIRST_SHARE_SLOT
            ? (slot - FIRST_SHARE_SLOT) % 2 == 1
            : slot == DATANET_OWNERS_BASE_SLOT;
        uint256 whole = Ppm.floorOf(price, isDatanets ? split.datanetOwnersPpm : split.contributorsPpm);
        if (slot < FIRST_SHARE_SLOT) return Ppm.floorOf(whole, given.attribution.attribution.basePpm);
        return Ppm.floorOf(whole, _sharePpm(slot, given));
    }

    /// @dev Who is paid for `slot`; {_amountOf} has proved the division.
    function _accountOf(
        IAttributionLedger.CommittedEpoch calldata committed,
        uint256 slot,
        Division calldata given
    ) internal view returns (address) {
        Leaves.Receipt calldata receipt = given.receipt.receipt;
        if (slot == REFUND_SLOT) return receipt.user;
        if (slot == PROVIDER_SLOT) return receipt.provider;
        if (slot == VALIDATORS_SLOT) return staking;
        if (slot == MODEL_OWNER_SLOT) {
            _requireStood(committed, "model owner", models.ownerSince(receipt.modelId));
            return models.modelOf(receipt.modelId).owner;
        }
        if (slot == PROTOCOL_SLOT) {
            _requireStood(committed, "protocol payee", models.protocolPayeeSince());
            return models.protocolPayee();
        }
        if (slot < FIRST_SHARE_SLOT) {
            bytes32 base = models.commitmentOf(receipt.modelId, receipt.version).baseDigest;
            _requireStood(committed, "base payee", models.basePayeeSince(base));
            address payee = models.basePayeeOf(base);
            return payee == address(0) ? receipt.user : payee;
        }
        if (given.shares.length == 0) return address(0);
        if ((slot - FIRST_SHARE_SLOT) % 2 == 0) return given.shares[0].account;
        bytes32 datanetId = given.shares[0].datanetId;
        uint64 since = datanets.payeeSince(datanetId);
        if (since == 0) return address(0);
        _requireStood(committed, "Datanet payee", since);
        return datanets.payeeOf(datanetId);
    }

    /// @dev Reverts unless `place` shows whether the receipt is struck.
    function _requireStrike(
        IAttributionLedger.CommittedEpoch calldata committed,
        uint256 position,
        StrikePlace calldata place
    ) internal pure returns (bool isStruck) {
        bytes32 root = committed.epoch.strikesRoot;
        Neighbours.Gap calldata gap = place.gap;
        if (place.struck) {
            _require(place.left.position == position, "strike position");
            _require(MerkleTree.verify(root, place.left.hash(), gap.index, gap.proof), "strike");
            return true;
        }
        _requireGap(root, gap, place.left.hash(), place.right.hash(), "strike neighbours");
        bool isGap = (!_hasLeft(gap.place) || place.left.position < position) &&
            (!_hasRight(gap.place) || position < place.right.position);
        _require(isGap, "not struck");
        return false;
    }

    /// @dev What is left of the price after every other part, from all shares.
    function _rest(
        uint256 price,
        IModelRegistry.PriceSplit memory split,
        Division calldata given
    ) private pure returns (uint256 rest) {
        Leaves.Attribution calldata attribution = given.attribution.attribution;
        uint256 count = given.shares.length;
        _require(count <= MAX_SHARES, "shares");
        uint256 contributors = Ppm.floorOf(price, split.contributorsPpm);
        uint256 owners = Ppm.floorOf(price, split.datanetOwnersPpm);
        rest =
            price -
            Ppm.floorOf(price, split.modelOwnerPpm) -
            Ppm.floorOf(price, split.providerPpm) -
            Ppm.floorOf(price, split.validatorsPpm);
        bytes32[] memory leaves = new bytes32[](count);
        uint256 paid = Ppm.floorOf(contributors, attribution.basePpm) + Ppm.floorOf(owners, attribution.basePpm);
        for (uint256 i = 0; i < count; ++i) {
            Leaves.OwnerShare calldata share = given.shares[i];
            leaves[i] = MerkleTree.leafHash(share.hash());
            paid += Ppm.floorOf(contributors, share.ppm) + Ppm.floorOf(owners, share.ppm);
        }
        _require(MerkleTree.rootOfLeaves(leaves) == attribution.sharesRoot, "shares");
        // Shares of more than the whole are a fault of their own.
        _require(paid <= rest, "whole");
        rest -= paid;
    }

    function _sharePpm(uint256 slot, Division calldata given) private pure returns (uint256) {
        uint256 wanted = (slot - FIRST_SHARE_SLOT) / 2;
        bytes32 root = given.attribution.attribution.sharesRoot;
        if (given.shares.length == 0) {
            _require(!_hasRight(given.place.place), "end of shares");
            _requireGap(root, given.place, given.endLeaf, 0, "end of shares");
            bool isBeyond = given.place.place == Neighbours.Place.Empty || given.place.index < wanted;
            _require(isBeyond, "end of shares");
            return 0;
        }
        _require(given.shares.length == 1, "one share");
        _require(MerkleTree.verify(root, given.shares[0].hash(), wanted, given.place.proof), "share");
        return given.shares[0].ppm;
    }

    function _requireStood(
        IAttributionLedger.CommittedEpoch calldata committed,
        bytes32 fact,
        uint64 since
    ) private view {
        uint256 stood = uint256(since) + ledger.parameters().attemptTimeoutSeconds;
        if (stood > committed.committedAt) revert IEpochDisputes.FactChanged(fact, since);
    }
}
