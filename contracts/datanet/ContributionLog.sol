// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {Succession} from "../governance/Succession.sol";
import {IContributionLog} from "../interfaces/IContributionLog.sol";
import {IDatanetRegistry} from "../interfaces/IDatanetRegistry.sol";
import {MerkleTree} from "../libraries/MerkleTree.sol";
import {Ppm} from "../libraries/Ppm.sol";
import {Signatures} from "../libraries/Signatures.sol";

/// @title The hash chain of contributions and withdrawals, and the snapshots over it, see {IContributionLog}
contract ContributionLog is IContributionLog, EIP712, Succession {
    bytes32 public constant CONTRIBUTION_TYPEHASH =
        keccak256(
            "Contribution(bytes32 datanetId,address contributor,bytes32 recordsRoot,uint32 recordCount,bytes32 licenseDigest,bytes32 metadataDigest,bytes32 salt,uint64 deadline)"
        );
    bytes32 public constant WITHDRAWAL_TYPEHASH =
        keccak256(
            "Withdrawal(bytes32 datanetId,address contributor,bytes32 contributionId,bytes32 reasonDigest,uint64 deadline)"
        );
    bytes32 public constant SNAPSHOT_TYPEHASH =
        keccak256(
            "Snapshot(bytes32 datanetId,bytes32 head,bytes32 recordsRoot,uint32 recordCount,uint32 heldOutPpm,bytes32 manifestDigest)"
        );

    bytes32 public constant SNAPSHOT_ENTRY_TYPEHASH =
        keccak256(
            "SnapshotEntry(uint32 position,bytes32 commitment,address owner,bytes32 cluster,bytes32 contributionId)"
        );

    /// @inheritdoc IContributionLog
    uint64 public constant MAX_HEAD_AGE_BLOCKS = 256;

    /// @notice The block whose hash seals a snapshot is the next one, so its hash is known from the second on ...
    uint64 public constant SEAL_FROM_BLOCKS = 2;

    /// @notice ... and for as long as the chain remembers it.
    uint64 public constant SEAL_UNTIL_BLOCKS = 256;

    /// @notice Where the Datanets' owners, curators and licences are.
    IDatanetRegistry public immutable registry;

    mapping(bytes32 datanetId => Heads) private _heads;
    mapping(bytes32 datanetId => mapping(bytes32 contributionId => Entry)) private _entries;
    mapping(bytes32 snapshotId => SnapshotRecord) private _snapshots;

    /// @param access The ProtocolAccess of this deployment.
    /// @param datanetRegistry The DatanetRegistry of this deployment.
    constructor(
        address access,
        address datanetRegistry
    ) EIP712("Headwater ContributionLog", "1") AccessManaged(access) {
        registry = IDatanetRegistry(datanetRegistry);
    }

    /// @inheritdoc IContributionLog
    function anchor(
        bytes32 expectedHead,
        Contribution calldata contribution,
        bytes calldata signature
    ) external returns (bytes32 contributionId) {
        if (block.timestamp > contribution.deadline) revert Expired(contribution.deadline);
        if (contribution.recordsRoot == 0 || contribution.recordCount == 0) revert EmptyContribution();
        contributionId = contributionIdOf(contribution);
        address contributor = contribution.contributor;
        if (msg.sender != contributor) Signatures.requireKey(contributor, contributionId, signature);
        bytes32 license = registry.openLicenseOf(contribution.datanetId);
        if (contribution.licenseDigest != license) revert WrongLicense(contribution.licenseDigest, license);
        _add(expectedHead, contribution, contributionId);
    }

    /// @inheritdoc IContributionLog
    function withdraw(Withdrawal calldata withdrawal, bytes calldata signature) external {
        if (block.timestamp > withdrawal.deadline) revert Expired(withdrawal.deadline);
        address contributor = withdrawal.contributor;
        if (msg.sender != contributor) {
            bytes32 digest = _hashTypedDataV4(keccak256(abi.encode(WITHDRAWAL_TYPEHASH, withdrawal)));
            Signatures.requireKey(contributor, digest, signature);
        }
        _revokeOwn(withdrawal.datanetId, withdrawal.contributionId, contributor, withdrawal.reasonDigest);
    }

    /// @inheritdoc IContributionLog
    function revokeSelf(bytes32 datanetId, bytes32 contributionId) external {
        _revokeOwn(datanetId, contributionId, msg.sender, 0);
    }

    /// @inheritdoc IContributionLog
    function takeDown(bytes32 datanetId, bytes32 contributionId, bytes32 reasonDigest) external {
        _requireCurator(datanetId);
        _revoke(datanetId, contributionId, Kind.TakenDown, reasonDigest);
    }

    /// @inheritdoc IContributionLog
    function commitSnapshot(Snapshot calldata snapshot) external returns (bytes32 snapshotId) {
        bytes32 datanetId = snapshot.datanetId;
        _requireCurator(datanetId);
        registry.openLicenseOf(datanetId); // reverts once the Datanet is retired
        if (snapshot.recordsRoot == 0 || snapshot.recordCount == 0) revert EmptySnapshot();
        if (snapshot.heldOutPpm >= Ppm.WHOLE) revert HeldOutTooHigh(snapshot.heldOutPpm);
        snapshotId = snapshotIdOf(snapshot);
        SnapshotRecord storage record = _snapshots[snapshotId];
        if (record.committedBlock != 0) revert SnapshotExists(snapshotId);
        record.datanetId = datanetId;
        record.recordsRoot = snapshot.recordsRoot;
        record.committedBlock = uint64(block.number);
        record.headLength = _lengthAt(datanetId, snapshot.head);
        record.recordCount = snapshot.recordCount;
        record.heldOutPpm = snapshot.heldOutPpm;
        emit SnapshotCommitted(
            datanetId,
            snapshotId,
            msg.sender,
            snapshot.head,
            snapshot.recordsRoot,
            snapshot.recordCount,
            snapshot.heldOutPpm,
            snapshot.manifestDigest,
            uint64(block.number)
        );
    }

    /// @inheritdoc IContributionLog
    function seal(bytes32 snapshotId) external returns (bytes32 sealedHash) {
        SnapshotRecord storage record = _known(snapshotId);
        if (record.sealedHash != 0) revert AlreadySealed(snapshotId);
        if (record.isInvalid) revert SnapshotIsInvalid(snapshotId);
        uint64 committed = record.committedBlock;
        if (block.number < committed + SEAL_FROM_BLOCKS) revert SealTooEarly(committed + SEAL_FROM_BLOCKS);
        if (block.number > committed + SEAL_UNTIL_BLOCKS) {
            revert SnapshotIsDead(snapshotId, committed + SEAL_UNTIL_BLOCKS);
        }
        sealedHash = blockhash(committed + 1);
        record.sealedHash = sealedHash;
        emit SnapshotSealed(record.datanetId, snapshotId, sealedHash);
    }

    /// @inheritdoc IContributionLog
    function invalidateSnapshot(
        bytes32 snapshotId,
        SnapshotEntry calldata record,
        uint256 index,
        bytes32[] calldata proof
    ) external {
        SnapshotRecord storage snapshot = _known(snapshotId);
        if (snapshot.isInvalid) revert SnapshotIsInvalid(snapshotId);
        bytes32 leaf = keccak256(abi.encode(SNAPSHOT_ENTRY_TYPEHASH, record));
        if (!MerkleTree.verify(snapshot.recordsRoot, leaf, index, proof)) revert NotInSnapshot(snapshotId, index);
        Entry storage entry = _entries[snapshot.datanetId][record.contributionId];
        uint64 length = snapshot.headLength;
        bool wasAnchored = entry.position != 0 && entry.position <= length;
        bool wasRevoked = entry.revokedPosition != 0 && entry.revokedPosition <= length;
        if (wasAnchored && !wasRevoked && entry.contributor == record.owner) {
            revert RecordIsSound(snapshotId, record.contributionId);
        }
        snapshot.isInvalid = true;
        emit SnapshotInvalidated(snapshot.datanetId, snapshotId, record.contributionId, msg.sender);
    }

    /// @inheritdoc IContributionLog
    function headsOf(bytes32 datanetId) external view returns (Heads memory) {
        return _heads[datanetId];
    }

    /// @inheritdoc IContributionLog
    function entryOf(bytes32 datanetId, bytes32 contributionId) external view returns (Entry memory) {
        return _entries[datanetId][contributionId];
    }

    /// @inheritdoc IContributionLog
    function snapshotOf(bytes32 snapshotId) external view returns (SnapshotRecord memory) {
        return _known(snapshotId);
    }

    /// @inheritdoc IContributionLog
    function snapshotStatusOf(bytes32 snapshotId) external view returns (SnapshotStatus) {
        SnapshotRecord storage record = _snapshots[snapshotId];
        if (record.committedBlock == 0) return SnapshotStatus.None;
        if (record.isInvalid) return SnapshotStatus.Invalid;
        if (record.sealedHash != 0) return SnapshotStatus.Sealed;
        bool canStillBe = block.number <= record.committedBlock + SEAL_UNTIL_BLOCKS;
        return canStillBe ? SnapshotStatus.Committed : SnapshotStatus.Dead;
    }

    /// @inheritdoc IContributionLog
    function contributionIdOf(Contribution calldata contribution) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(CONTRIBUTION_TYPEHASH, contribution)));
    }

    /// @inheritdoc IContributionLog
    function snapshotIdOf(Snapshot calldata snapshot) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(SNAPSHOT_TYPEHASH, snapshot)));
    }

    /// @inheritdoc IContributionLog
    function headAfter(bytes32 head, Kind kind, bytes32 contributionId) public pure returns (bytes32) {
        return keccak256(abi.encode(head, kind, contributionId));
    }

    function _add(bytes32 expectedHead, Contribution calldata contribution, bytes32 contributionId) private {
        bytes32 datanetId = contribution.datanetId;
        Entry storage entry = _entries[datanetId][contributionId];
        if (entry.position != 0) revert AlreadyAnchored(contributionId);
        (bytes32 head, uint64 position) = _append(datanetId, expectedHead, Kind.Added, contributionId);
        entry.contributor = contribution.contributor;
        entry.position = uint48(position);
        emit ContributionAnchored(
            datanetId,
            contributionId,
            contribution.contributor,
            contribution.recordsRoot,
            contribution.recordCount,
            contribution.licenseDigest,
            contribution.metadataDigest,
            head,
            position
        );
    }

    function _revokeOwn(
        bytes32 datanetId,
        bytes32 contributionId,
        address contributor,
        bytes32 reasonDigest
    ) private {
        Entry storage entry = _entries[datanetId][contributionId];
        if (entry.position != 0 && entry.contributor != contributor) revert NotContributor(contributionId, contributor);
        _revoke(datanetId, contributionId, Kind.Withdrawn, reasonDigest);
    }

    function _revoke(bytes32 datanetId, bytes32 contributionId, Kind kind, bytes32 reasonDigest) private {
        Entry storage entry = _entries[datanetId][contributionId];
        if (entry.position == 0) revert UnknownContribution(datanetId, contributionId);
        if (entry.revokedPosition != 0) revert AlreadyRevoked(contributionId, entry.revokedPosition);
        (bytes32 head, uint64 position) = _append(datanetId, 0, kind, contributionId);
        entry.revokedPosition = uint48(position);
        emit ContributionRevoked(datanetId, contributionId, entry.contributor, kind, reasonDigest, head, position);
    }

    /// @dev Moves the head on, and keeps the replaced one as the stable one if that has had its time.
    function _append(
        bytes32 datanetId,
        bytes32 expectedHead,
        Kind kind,
        bytes32 contributionId
    ) private returns (bytes32 head, uint64 position) {
        Heads storage heads = _heads[datanetId];
        bytes32 replaced = heads.head;
        if (expectedHead != 0 && expectedHead != replaced) revert StaleHead(expectedHead, replaced);
        uint64 length = heads.length;
        if (length != 0 && block.number + MAX_HEAD_AGE_BLOCKS / 2 >= heads.stableUntilBlock) {
            heads.stableHead = replaced;
            heads.stableLength = length;
            heads.stableUntilBlock = uint64(block.number) + MAX_HEAD_AGE_BLOCKS;
        }
        head = headAfter(replaced, kind, contributionId);
        position = length + 1;
        heads.head = head;
        heads.length = position;
    }

    /// @dev Entries under a head that a snapshot may name in this block.
    function _lengthAt(bytes32 datanetId, bytes32 head) private view returns (uint64) {
        Heads storage heads = _heads[datanetId];
        if (head == heads.head && head != 0) return heads.length;
        bool isStable = head == heads.stableHead && head != 0 && block.number <= heads.stableUntilBlock;
        if (!isStable) revert HeadTooOld(head, heads.head, heads.stableHead);
        return heads.stableLength;
    }

    function _known(bytes32 snapshotId) private view returns (SnapshotRecord storage record) {
        record = _snapshots[snapshotId];
        if (record.committedBlock == 0) revert UnknownSnapshot(snapshotId);
    }

    function _requireCurator(bytes32 datanetId) private view {
        if (!registry.mayCurate(datanetId, msg.sender)) revert NotCurator(datanetId, msg.sender);
    }
}
