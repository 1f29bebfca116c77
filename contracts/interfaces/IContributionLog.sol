// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What was contributed, what was withdrawn, and which states of a Datanet were fixed
/// @notice One append-only hash chain for each Datanet: head' = keccak256(abi.encode(head, kind, contributionId)), from
/// zero. A snapshot names a head that stood at most {MAX_HEAD_AGE_BLOCKS} ago, so it cannot ignore older withdrawals.
/// Contributions are signed by wallets and may be relayed by anyone; a wallet contract sends its own transaction.
interface IContributionLog {
    /// @notice What an entry of the chain did.
    enum Kind {
        Added,
        Withdrawn,
        TakenDown
    }

    /// @notice The states of PROTOCOL.md §9 that this contract decides.
    enum SnapshotStatus {
        None,
        Committed,
        Sealed,
        Dead,
        Invalid
    }

    /// @notice A contributor's signature under one batch of records. Its id is its EIP-712 signing digest.
    /// @param datanetId The Datanet that it goes to.
    /// @param contributor The account that signs, owns and may withdraw it.
    /// @param recordsRoot Merkle root over salted record commitments that name the contributor.
    /// @param recordCount Records under the root.
    /// @param licenseDigest The licence that the contributor read: the Datanet's at the time of anchoring.
    /// @param metadataDigest sha2-256 of the batch's public description.
    /// @param salt The contributor's own number, so that two equal batches differ.
    /// @param deadline Last second at which it may be anchored.
    struct Contribution {
        bytes32 datanetId;
        address contributor;
        bytes32 recordsRoot;
        uint32 recordCount;
        bytes32 licenseDigest;
        bytes32 metadataDigest;
        bytes32 salt;
        uint64 deadline;
    }

    /// @notice A contributor's way out: no later snapshot may hold this contribution.
    /// @param reasonDigest sha2-256 of the reason, or zero.
    /// @param deadline Last second at which it may be relayed.
    struct Withdrawal {
        bytes32 datanetId;
        address contributor;
        bytes32 contributionId;
        bytes32 reasonDigest;
        uint64 deadline;
    }

    /// @notice A state of a Datanet. Its id is its EIP-712 signing digest.
    /// @param head The chain's head up to which it excludes everything withdrawn or taken down.
    /// @param recordsRoot Merkle root over its entries in canonical order.
    /// @param recordCount Entries under the root.
    /// @param heldOutPpm Part of the records that is held out from training, in ppm; the seal draws which.
    /// @param manifestDigest sha2-256 of the public list behind it.
    struct Snapshot {
        bytes32 datanetId;
        bytes32 head;
        bytes32 recordsRoot;
        uint32 recordCount;
        uint32 heldOutPpm;
        bytes32 manifestDigest;
    }

    /// @notice Leaf of a snapshot's records root: one record.
    /// @param position Its place in the canonical order.
    /// @param commitment Its salted commitment.
    /// @param owner Who contributed it.
    /// @param cluster The commitment that first brought this content.
    /// @param contributionId The contribution that it came with.
    struct SnapshotEntry {
        uint32 position;
        bytes32 commitment;
        address owner;
        bytes32 cluster;
        bytes32 contributionId;
    }

    /// @notice The chain of one Datanet.
    /// @param head The newest head.
    /// @param stableHead An older head, kept so that a slow committer has one that lasts: see {headsOf}.
    /// @param length Entries under `head`.
    /// @param stableLength Entries under `stableHead`.
    /// @param stableUntilBlock Last block in which a snapshot may name `stableHead`.
    struct Heads {
        bytes32 head;
        bytes32 stableHead;
        uint64 length;
        uint64 stableLength;
        uint64 stableUntilBlock;
    }

    /// @notice What is kept of one contribution.
    /// @param contributor Whose it is.
    /// @param position Its place in the chain, from 1; 0 = never anchored.
    /// @param revokedPosition The place of the entry that revoked it; 0 = it stands.
    struct Entry {
        address contributor;
        uint48 position;
        uint48 revokedPosition;
    }

    /// @notice What is kept of one snapshot.
    /// @param sealedHash Hash of the block after the commit; zero until sealed.
    /// @param committedBlock The block of the commit.
    /// @param headLength Entries of the chain up to its head: it must exclude what these revoke.
    /// @param isInvalid Whether somebody proved that it holds what it must not.
    struct SnapshotRecord {
        bytes32 datanetId;
        bytes32 recordsRoot;
        bytes32 sealedHash;
        uint64 committedBlock;
        uint64 headLength;
        uint32 recordCount;
        uint32 heldOutPpm;
        bool isInvalid;
    }

    event ContributionAnchored(
        bytes32 indexed datanetId,
        bytes32 indexed contributionId,
        address indexed contributor,
        bytes32 recordsRoot,
        uint32 recordCount,
        bytes32 licenseDigest,
        bytes32 metadataDigest,
        bytes32 head,
        uint64 position
    );
    event ContributionRevoked(
        bytes32 indexed datanetId,
        bytes32 indexed contributionId,
        address indexed contributor,
        Kind kind,
        bytes32 reasonDigest,
        bytes32 head,
        uint64 position
    );
    event SnapshotCommitted(
        bytes32 indexed datanetId,
        bytes32 indexed snapshotId,
        address indexed committer,
        bytes32 head,
        bytes32 recordsRoot,
        uint32 recordCount,
        uint32 heldOutPpm,
        bytes32 manifestDigest,
        uint64 committedBlock
    );
    event SnapshotSealed(bytes32 indexed datanetId, bytes32 indexed snapshotId, bytes32 sealedHash);
    event SnapshotInvalidated(
        bytes32 indexed datanetId,
        bytes32 indexed snapshotId,
        bytes32 indexed contributionId,
        address challenger
    );

    /// @notice The signature's last second has passed (seconds since the Unix epoch).
    error Expired(uint64 deadline);
    /// @notice The batch was signed under another licence than the Datanet's.
    error WrongLicense(bytes32 signed, bytes32 current);
    /// @notice A batch without records, or with the root zero.
    error EmptyContribution();
    /// @notice This very contribution is anchored: a relayer may take it as done.
    error AlreadyAnchored(bytes32 contributionId);
    /// @notice The chain has moved on from the head that the relayer expected.
    error StaleHead(bytes32 expected, bytes32 actual);
    /// @notice No such contribution in this Datanet.
    error UnknownContribution(bytes32 datanetId, bytes32 contributionId);
    /// @notice Only its contributor may withdraw it.
    error NotContributor(bytes32 contributionId, address account);
    /// @notice It is withdrawn or taken down already: a relayer may take it as done.
    error AlreadyRevoked(bytes32 contributionId, uint64 revokedPosition);
    /// @notice Only the Datanet's owner or a curator may do this.
    error NotCurator(bytes32 datanetId, address caller);
    /// @notice A snapshot without records, or with the root zero.
    error EmptySnapshot();
    /// @notice The held-out part leaves nothing to train on.
    error HeldOutTooHigh(uint32 heldOutPpm);
    /// @notice The head never stood, or not within {MAX_HEAD_AGE_BLOCKS}: name the newest, or the stable one.
    error HeadTooOld(bytes32 named, bytes32 newest, bytes32 stable);
    /// @notice This very snapshot is committed.
    error SnapshotExists(bytes32 snapshotId);
    /// @notice No snapshot has this id.
    error UnknownSnapshot(bytes32 snapshotId);
    /// @notice It can be sealed from this block on.
    error SealTooEarly(uint64 fromBlock);
    /// @notice It could be sealed until this block; it never will be.
    error SnapshotIsDead(bytes32 snapshotId, uint64 untilBlock);
    /// @notice It is sealed: a sealer may take it as done.
    error AlreadySealed(bytes32 snapshotId);
    /// @notice It was proved to hold what it must not, for good.
    error SnapshotIsInvalid(bytes32 snapshotId);
    /// @notice The record does not stand at this place of the snapshot.
    error NotInSnapshot(bytes32 snapshotId, uint256 index);
    /// @notice The record's contribution stood at the snapshot's head, by the owner that the record names.
    error RecordIsSound(bytes32 snapshotId, bytes32 contributionId);

    /// @notice Anchors a signed contribution; anyone may relay it.
    /// @param expectedHead The newest head as the relayer knows it, or zero for whatever it is.
    /// @param contribution What the contributor signed.
    /// @param signature By the contributor's key (65 bytes, or 64 of ERC-2098); not looked at when the contributor
    /// itself sends this.
    /// @return contributionId See {contributionIdOf}.
    function anchor(
        bytes32 expectedHead,
        Contribution calldata contribution,
        bytes calldata signature
    ) external returns (bytes32 contributionId);

    /// @notice Withdraws a contribution; anyone may relay it.
    /// @param signature By the contributor's key; not looked at when the contributor itself sends this.
    function withdraw(Withdrawal calldata withdrawal, bytes calldata signature) external;

    /// @notice Withdraws one's own contribution, without a relayer and without a signature.
    function revokeSelf(bytes32 datanetId, bytes32 contributionId) external;

    /// @notice Takes a contribution down; the Datanet's owner or a curator, who gives a reason.
    function takeDown(bytes32 datanetId, bytes32 contributionId, bytes32 reasonDigest) external;

    /// @notice Commits a state of the Datanet; its owner or a curator.
    /// @return snapshotId See {snapshotIdOf}.
    function commitSnapshot(Snapshot calldata snapshot) external returns (bytes32 snapshotId);

    /// @notice Fixes the hash of the block after the commit, from which all splits and seeds follow; anyone may, 2 to
    /// 256 blocks after the commit.
    function seal(bytes32 snapshotId) external returns (bytes32 sealedHash);

    /// @notice Proves that a snapshot holds a record of a contribution that was revoked, or not yet anchored, at the head
    /// that it names, or that names another owner than the contributor; anyone. No version can use it from then on.
    /// @param index Where the record stands under the snapshot's records root, proven by `proof`.
    function invalidateSnapshot(
        bytes32 snapshotId,
        SnapshotEntry calldata record,
        uint256 index,
        bytes32[] calldata proof
    ) external;

    /// @notice A replaced head may be named by a snapshot for at most this many blocks.
    function MAX_HEAD_AGE_BLOCKS() external view returns (uint64);

    /// @notice EIP-712 signing digest of the contribution under this contract.
    function contributionIdOf(Contribution calldata contribution) external view returns (bytes32);

    /// @notice EIP-712 signing digest of the snapshot under this contract.
    function snapshotIdOf(Snapshot calldata snapshot) external view returns (bytes32);

    /// @notice The head that follows `head` when an entry is added.
    function headAfter(bytes32 head, Kind kind, bytes32 contributionId) external pure returns (bytes32);

    /// @notice The heads that a snapshot may name: the newest, and until `stableUntilBlock` the stable one, which is
    /// replaced no sooner than half of {MAX_HEAD_AGE_BLOCKS} after it was set, however many entries come in between.
    function headsOf(bytes32 datanetId) external view returns (Heads memory);

    /// @notice What is kept of a contribution; zeros where it was never anchored.
    function entryOf(bytes32 datanetId, bytes32 contributionId) external view returns (Entry memory);

    /// @notice What is kept of a snapshot. Reverts with {UnknownSnapshot}.
    function snapshotOf(bytes32 snapshotId) external view returns (SnapshotRecord memory);

    /// @notice The state of a snapshot in this block.
    function snapshotStatusOf(bytes32 snapshotId) external view returns (SnapshotStatus);
}
