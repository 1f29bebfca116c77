// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What each model version is made of, what it costs, who is paid, and who vouches for it
/// @notice A version commits to everything that a stranger needs to check it (PROTOCOL.md §2.3). Its status moves
/// forward only; its prices are a list to which is only added; its parent existed before it, so lineage has no cycle.
interface IModelRegistry {
    /// @notice Registered -> Attested -> Active -> Deprecated | Revoked; Deprecated -> Revoked; Registered -> Lapsed.
    enum VersionStatus {
        None,
        Registered,
        Attested,
        Active,
        Deprecated,
        Revoked,
        Lapsed
    }

    /// @notice Everything that a version commits to; digests are sha2-256, roots keccak-256.
    /// @param parentModelId The model that it continues, or zero.
    /// @param baseDigest Over the base's canonical tensors.
    /// @param snapshotsRoot Merkle root over the snapshot ids, ascending.
    /// @param dataSplit How held-out records were chosen: 0 compositional, 1 random.
    /// @param methodId The attribution method.
    /// @param indexRoot Root over the attribution index's rows.
    /// @param floorUnit The noise floor of a query of length sqrt(sketch width).
    /// @param recordCapPpm The method's: what one record may count for.
    /// @param listedRows The method's: how many rows an attribution lists at most.
    /// @param certificateDigest Zero = uncertified.
    struct ModelVersion {
        bytes32 modelId;
        uint32 version;
        bytes32 parentModelId;
        uint32 parentVersion;
        bytes32 baseDigest;
        bytes32 snapshotsRoot;
        uint8 dataSplit;
        bytes32 recipeDigest;
        bytes32 stepChainDigest;
        bytes32 adapterDigest;
        bytes32 checkpointDigest;
        bytes32 methodId;
        bytes32 indexRoot;
        uint32 indexRows;
        uint64 floorUnit;
        uint32 recordCapPpm;
        uint32 listedRows;
        bytes32 certificateDigest;
        bytes32 evaluationDigest;
    }

    /// @notice The part of a {ModelVersion} that its answers must show.
    struct Commitment {
        bytes32 baseDigest;
        bytes32 adapterDigest;
        bytes32 methodId;
        bytes32 indexRoot;
        uint32 indexRows;
        uint64 floorUnit;
        uint32 recordCapPpm;
        uint32 listedRows;
    }

    /// @notice How a price is divided, in ppm; the parts add up to 1,000,000.
    struct PriceSplit {
        uint32 contributorsPpm;
        uint32 modelOwnerPpm;
        uint32 datanetOwnersPpm;
        uint32 providerPpm;
        uint32 validatorsPpm;
        uint32 protocolPpm;
    }

    /// @notice One entry of a version's price list; price versions count from 1.
    /// @param perThousandTokensWei Price of 1,000 tokens (prompt and output), in wei.
    /// @param effectiveAt Seconds since the Unix epoch; {NEVER} = replaced before it came into force.
    struct Price {
        uint128 perThousandTokensWei;
        uint64 effectiveAt;
    }

    /// @notice One validator's word on one version, signed by the key that carries its weight.
    /// @param versionDigest EIP-712 struct hash of the ModelVersion.
    /// @param validatorSetId The set that the version's seal froze.
    /// @param sealedHash Hash of the block after the registration.
    /// @param preimage Next preimage of the key's version-draw chain.
    struct VersionVerdict {
        bytes32 modelId;
        uint32 version;
        bytes32 versionDigest;
        uint64 validatorSetId;
        bytes32 sealedHash;
        bytes32 preimage;
        bytes32 findingsDigest;
        bool accepted;
    }

    /// @notice A model: its owner and how many versions it has.
    struct Model {
        address owner;
        uint64 createdAt;
        uint32 latestVersion;
        address pendingOwner;
    }

    /// @notice Where a version stands.
    /// @param versionDigest EIP-712 struct hash of its ModelVersion.
    /// @param sealedHash Hash of the block after its registration; zero until sealed.
    /// @param payer Who paid the attesters' fee, and gets it back on silence.
    /// @param registeredAt Seconds since the Unix epoch.
    /// @param registeredBlock The block of the registration.
    /// @param validatorSetId Whose weights count; fixed by the seal.
    /// @param feeWei The attesters' fee.
    /// @param acceptedWeight Stake of those who accepted it.
    /// @param rejectedWeight Stake of those who rejected it.
    /// @param paidWeight Stake of those who were paid their part of the fee.
    /// @param attesters How many validators stand behind it; 1 = not independent.
    /// @param priceCount Entries of its price list.
    /// @param revokedAt Seconds since the Unix epoch; 0 = not revoked.
    /// @param revokedInEpoch The epoch that came next when it was revoked; receipts in epochs more than R later are
    /// refunded.
    struct VersionState {
        bytes32 versionDigest;
        bytes32 sealedHash;
        address payer;
        VersionStatus status;
        uint64 registeredAt;
        uint64 registeredBlock;
        uint64 validatorSetId;
        uint128 feeWei;
        uint128 acceptedWeight;
        uint128 rejectedWeight;
        uint128 paidWeight;
        uint32 attesters;
        uint32 priceCount;
        uint64 revokedAt;
        uint64 revokedInEpoch;
    }

    /// @notice A validator key's vote on one version.
    struct Vote {
        uint96 weight;
        bool accepted;
        bool isPaid;
    }

    /// @notice One step of a lineage.
    struct Reference {
        bytes32 modelId;
        uint32 version;
    }

    /// @notice Times and fees of a deployment.
    /// @param attestationFeeWei What a registration escrows for the attesters.
    /// @param priceRiseDelaySeconds Seconds between a rise's proposal and its coming into force.
    /// @param attestationWindowSeconds Seconds after which an unattested version may lapse.
    struct Parameters {
        uint128 attestationFeeWei;
        uint64 priceRiseDelaySeconds;
        uint64 attestationWindowSeconds;
    }

    event ModelRegistered(bytes32 indexed modelId, address indexed owner);
    event VersionRegistered(
        bytes32 indexed modelId,
        uint32 indexed version,
        bytes32 indexed baseDigest,
        bytes32 versionDigest,
        bytes32 adapterDigest,
        PriceSplit split,
        uint128 feeWei
    );
    event SnapshotUsed(
        bytes32 indexed snapshotId,
        bytes32 indexed datanetId,
        bytes32 indexed modelId,
        uint32 version
    );
    event VersionSealed(
        bytes32 indexed modelId,
        uint32 indexed version,
        bytes32 sealedHash,
        uint64 validatorSetId
    );
    event VerdictGiven(
        bytes32 indexed modelId,
        uint32 indexed version,
        address indexed key,
        bool accepted,
        uint96 weight,
        bytes32 findingsDigest
    );
    event StatusChanged(bytes32 indexed modelId, uint32 indexed version, VersionStatus from, VersionStatus to);
    event AttesterPaid(bytes32 indexed modelId, uint32 indexed version, address indexed owner, uint256 amountWei);
    event FeeRefunded(bytes32 indexed modelId, uint32 indexed version, address indexed payer, uint256 amountWei);
    event PriceAdded(
        bytes32 indexed modelId,
        uint32 indexed version,
        uint32 indexed priceVersion,
        uint128 perThousandTokensWei,
        uint64 effectiveAt
    );
    event PriceWithdrawn(bytes32 indexed modelId, uint32 indexed version, uint32 indexed priceVersion);
    event OwnershipTransferStarted(bytes32 indexed modelId, address indexed owner, address indexed pendingOwner);
    event OwnershipTransferred(bytes32 indexed modelId, address indexed previousOwner, address indexed owner);
    event BasePayeeSet(bytes32 indexed baseDigest, address indexed payee);
    event ProtocolPayeeSet(address indexed payee);
    event ParametersSet(Parameters parameters);

    /// @notice A constructor argument, or a number of a version, is out of its bounds.
    error ParameterOutOfBounds(bytes32 name, uint256 value);
    /// @notice This creator has used this salt before.
    error ModelExists(bytes32 modelId);
    /// @notice No model has this id.
    error UnknownModel(bytes32 modelId);
    /// @notice The model has no such version.
    error UnknownVersion(bytes32 modelId, uint32 version);
    /// @notice The version names another model than the one that it is registered for.
    error WrongModelId(bytes32 expected, bytes32 given);
    /// @notice Versions count up from 1, one at a time.
    error WrongVersionNumber(uint32 expected, uint32 given);
    /// @notice The parent is not registered.
    error UnknownParent(bytes32 parentModelId, uint32 parentVersion);
    /// @notice A digest that a version cannot do without is zero.
    error EmptyDigest(bytes32 name);
    /// @notice Data splits are 0 (compositional) and 1 (random).
    error UnknownDataSplit(uint8 dataSplit);
    /// @notice A version names between 1 and `maximum` snapshots.
    error WrongSnapshotCount(uint256 count, uint256 maximum);
    /// @notice Snapshot ids ascend strictly; the one at this position does not.
    error SnapshotsNotAscending(uint256 position);
    /// @notice The snapshot is not sealed.
    error SnapshotNotSealed(bytes32 snapshotId);
    /// @notice The snapshots given are not those that the version commits to.
    error WrongSnapshotsRoot(bytes32 expected, bytes32 given);
    /// @notice The split's parts do not add up to the whole.
    error SplitNotWhole(uint256 sumPpm);
    /// @notice A part of the split is below its least value.
    error PartTooLow(bytes32 part, uint32 givenPpm, uint32 leastPpm);
    /// @notice Only the model's owner may do this.
    error NotModelOwner(bytes32 modelId, address caller);
    /// @notice Only the account to which the ownership was offered may accept it.
    error NotPendingOwner(bytes32 modelId, address caller);
    /// @notice The status does not allow this step.
    error InvalidTransition(VersionStatus from, VersionStatus to);
    /// @notice It can be sealed from this block on.
    error SealTooEarly(uint64 fromBlock);
    /// @notice It could be sealed until this block; it can only lapse now.
    error SealTooLate(uint64 untilBlock);
    /// @notice It is sealed: a sealer may take it as done.
    error AlreadySealed(bytes32 modelId, uint32 version);
    /// @notice Seal the version first.
    error NotSealed(bytes32 modelId, uint32 version);
    /// @notice There is no validator who could attest it.
    error NoValidators();
    /// @notice The verdict is about another digest, set or seal than the version's.
    error VerdictMismatch(bytes32 field, bytes32 expected, bytes32 given);
    /// @notice The signer carries no weight in the version's validator set.
    error NotInValidatorSet(address key, uint64 validatorSetId);
    /// @notice This key has voted on this version: a relayer may take it as done.
    error AlreadyVoted(address key);
    /// @notice keccak256(preimage) is not the last revealed link of the key's version-draw chain.
    error WrongPreimage(bytes32 expectedHash, bytes32 givenHash);
    /// @notice This key has no unpaid part in this version's fee.
    error NothingToPay(address key);
    /// @notice It may lapse from this time on (seconds since the Unix epoch).
    error AttestationStillOpen(uint64 until);
    /// @notice The price equals the one in force.
    error SamePrice(uint128 perThousandTokensWei);
    /// @notice A rise is waiting to come into force; only a cut may come before it.
    error PriceRisePending(uint64 effectiveAt);
    /// @notice The version has no such price version.
    error UnknownPriceVersion(bytes32 modelId, uint32 version, uint32 priceVersion);
    /// @notice No account is zero.
    error ZeroAccount();

    /// @notice Registers a new model of the caller with its first version, and takes the attesters' fee.
    /// @param salt The creator's own number for the model.
    /// @param modelVersion Names {modelIdOf} of caller and salt, and version 1.
    /// @param snapshotIds The snapshots under its snapshotsRoot, ascending.
    /// @param perThousandTokensWei The first price, in force at once.
    /// @param split How each price is divided.
    function register(
        bytes32 salt,
        ModelVersion calldata modelVersion,
        bytes32[] calldata snapshotIds,
        uint128 perThousandTokensWei,
        PriceSplit calldata split
    ) external returns (bytes32 modelId, uint32 version);

    /// @notice Adds the next version to a model of the caller, and takes the attesters' fee.
    function addVersion(
        ModelVersion calldata modelVersion,
        bytes32[] calldata snapshotIds,
        uint128 perThousandTokensWei,
        PriceSplit calldata split
    ) external returns (uint32 version);

    /// @notice Fixes the hash of the block after the registration, and whose weights count; anyone may, 2 to 256
    /// blocks after it.
    function seal(bytes32 modelId, uint32 version) external returns (bytes32 sealedHash);

    /// @notice Counts one validator's verdict; anyone may relay it. A quorum of acceptances attests the version, a
    /// quorum of rejections makes it lapse; either earns its signers the fee.
    /// @param signature By the key that carries the validator's weight in the version's set.
    function attestVersion(VersionVerdict calldata verdict, bytes calldata signature) external;

    /// @notice Pays one signer's owner its part of the fee, by stake; anyone may call.
    /// @return amountWei Parts of all signers add up to the fee, exactly.
    function payAttester(bytes32 modelId, uint32 version, address key) external returns (uint256 amountWei);

    /// @notice Ends a version that no quorum answered for in time, and returns the fee; anyone may call.
    function lapse(bytes32 modelId, uint32 version) external;

    /// @notice Lets an attested version be served; its owner only.
    function activate(bytes32 modelId, uint32 version) external;

    /// @notice Marks an active version as replaced; its owner only. It may still be served.
    function deprecate(bytes32 modelId, uint32 version) external;

    /// @notice Ends a version for good; its owner only. Its lineage stays.
    function revoke(bytes32 modelId, uint32 version) external;

    /// @notice Adds a price; the owner only. A cut is in force at once and withdraws a waiting rise; a rise waits.
    /// @return priceVersion Its number.
    function proposePrice(
        bytes32 modelId,
        uint32 version,
        uint128 perThousandTokensWei
    ) external returns (uint32 priceVersion);

    /// @notice Offers the ownership; the owner only. Zero takes an offer back.
    function transferOwnership(bytes32 modelId, address pendingOwner) external;

    /// @notice Takes an offered ownership.
    function acceptOwnership(bytes32 modelId) external;

    /// @notice Names who is paid the base part of all versions on a base; zero = users are refunded.
    function setBasePayee(bytes32 baseDigest, address payee) external;

    /// @notice Names who is paid the protocol's part.
    function setProtocolPayee(address payee) external;

    /// @notice Sets times and fees within their bounds. A version's fee and a price's time stay as they were.
    function setParameters(Parameters calldata given) external;

    /// @notice `effectiveAt` of a price that was replaced before it came into force.
    function NEVER() external view returns (uint64);

    /// @notice Times and fees of this deployment.
    function parameters() external view returns (Parameters memory);

    /// @notice keccak256(abi.encode(chain id, this contract, creator, salt)).
    function modelIdOf(address creator, bytes32 salt) external view returns (bytes32);

    /// @notice A model. Reverts with {UnknownModel}.
    function modelOf(bytes32 modelId) external view returns (Model memory);

    /// @notice What a version commits to. Reverts with {UnknownVersion}.
    function versionOf(bytes32 modelId, uint32 version) external view returns (ModelVersion memory);

    /// @notice What a version's answers are held against; all zeros for a version that does not exist.
    function commitmentOf(bytes32 modelId, uint32 version) external view returns (Commitment memory);

    /// @notice Since when the model has its owner, in seconds since the Unix epoch.
    function ownerSince(bytes32 modelId) external view returns (uint64);

    /// @notice Since when the base part of versions on this base goes where it goes; 0 = it was never set.
    function basePayeeSince(bytes32 baseDigest) external view returns (uint64);

    /// @notice Since when the protocol's part goes where it goes.
    function protocolPayeeSince() external view returns (uint64);

    /// @notice Where a version stands. Reverts with {UnknownVersion}.
    function stateOf(bytes32 modelId, uint32 version) external view returns (VersionState memory);

    /// @notice How its prices are divided. Reverts with {UnknownVersion}.
    function splitOf(bytes32 modelId, uint32 version) external view returns (PriceSplit memory);

    /// @notice The price in force now. Reverts with {UnknownVersion}.
    function quote(
        bytes32 modelId,
        uint32 version
    ) external view returns (uint128 perThousandTokensWei, uint32 priceVersion, PriceSplit memory split);

    /// @notice One entry of the price list. Reverts with {UnknownPriceVersion}.
    function priceAt(
        bytes32 modelId,
        uint32 version,
        uint32 priceVersion
    ) external view returns (Price memory);

    /// @notice The price list from price version `offset` + 1 on: at most `limit` entries, itself at most {MAX_PAGE}.
    /// Reverts with {UnknownVersion}.
    function pricesOf(
        bytes32 modelId,
        uint32 version,
        uint256 offset,
        uint256 limit
    ) external view returns (Price[] memory);

    /// @notice The most that one call of {pricesOf} returns.
    function MAX_PAGE() external view returns (uint256);

    /// @notice The version and its forebears, nearest first: at most `limit`, itself at most {MAX_LINEAGE}. To go on,
    /// ask again with the last one's parent.
    function lineage(
        bytes32 modelId,
        uint32 version,
        uint256 limit
    ) external view returns (Reference[] memory);

    /// @notice The most that one call of {lineage} returns.
    function MAX_LINEAGE() external view returns (uint256);

    /// @notice Whether any version was trained on the snapshot.
    function isSnapshotUsed(bytes32 snapshotId) external view returns (bool);

    /// @notice A key's vote on a version; zeros where it has none.
    function voteOf(bytes32 modelId, uint32 version, address key) external view returns (Vote memory);

    /// @notice How many links of its version-draw chain a key has revealed; the next preimage has this position.
    function drawPositionOf(address key) external view returns (uint64);

    /// @notice Who is paid the base part of versions on this base; zero = users are refunded.
    function basePayeeOf(bytes32 baseDigest) external view returns (address);

    /// @notice Who is paid the protocol's part.
    function protocolPayee() external view returns (address);
}
