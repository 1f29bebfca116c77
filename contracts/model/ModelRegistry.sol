// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Succession} from "../governance/Succession.sol";
import {IContributionLog} from "../interfaces/IContributionLog.sol";
import {IDatanetRegistry} from "../interfaces/IDatanetRegistry.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {IQuorum} from "../interfaces/IQuorum.sol";
import {IStaking} from "../interfaces/IStaking.sol";
import {MerkleTree} from "../libraries/MerkleTree.sol";
import {Ppm} from "../libraries/Ppm.sol";
import {ModelAttestation} from "./ModelAttestation.sol";
import {ModelPrices} from "./ModelPrices.sol";

/// @title Models and their versions, see {IModelRegistry}
contract ModelRegistry is ModelPrices, ModelAttestation, Succession {
    bytes32 public constant MODEL_VERSION_TYPEHASH =
        keccak256(
            "ModelVersion(bytes32 modelId,uint32 version,bytes32 parentModelId,uint32 parentVersion,bytes32 baseDigest,bytes32 snapshotsRoot,uint8 dataSplit,bytes32 recipeDigest,bytes32 stepChainDigest,bytes32 adapterDigest,bytes32 checkpointDigest,bytes32 methodId,bytes32 indexRoot,uint32 indexRows,uint64 floorUnit,uint32 recordCapPpm,uint32 listedRows,bytes32 certificateDigest,bytes32 evaluationDigest)"
        );

    /// @notice The longest delay of a price rise that a deployment may choose, in seconds.
    uint64 public constant MAX_PRICE_RISE_DELAY_SECONDS = 30 days;

    /// @notice The longest attestation window that a deployment may choose, in seconds.
    uint64 public constant MAX_ATTESTATION_WINDOW_SECONDS = 30 days;

    /// @notice The least parts of validators and protocol in a price split, in ppm.
    uint32 public constant LEAST_VALIDATORS_PPM = 20_000;
    uint32 public constant LEAST_PROTOCOL_PPM = 10_000;

    /// @notice Snapshots that one version may be trained on.
    uint256 public constant MAX_SNAPSHOTS = 64;

    /// @notice Data splits are 0 (compositional) and 1 (random).
    uint8 public constant LAST_DATA_SPLIT = 1;

    /// @notice Rows that one attribution may list: as many as one transaction can go through.
    uint32 public constant MAX_LISTED_ROWS = 64;

    /// @inheritdoc IModelRegistry
    uint256 public constant MAX_LINEAGE = 64;

    /// @notice Where Datanets' terms are.
    IDatanetRegistry public immutable registry;

    /// @notice Where snapshots are sealed.
    IContributionLog public immutable contributionLog;

    /// @inheritdoc IModelRegistry
    mapping(bytes32 snapshotId => bool) public isSnapshotUsed;

    /// @inheritdoc IModelRegistry
    mapping(bytes32 baseDigest => address) public basePayeeOf;

    /// @inheritdoc IModelRegistry
    mapping(bytes32 baseDigest => uint64) public basePayeeSince;

    /// @inheritdoc IModelRegistry
    address public protocolPayee;

    /// @inheritdoc IModelRegistry
    uint64 public protocolPayeeSince;

    /// @param access The ProtocolAccess that knows who holds the role PARAMETER.
    /// @param token_ The credit token.
    /// @param registry_ The DatanetRegistry.
    /// @param contributionLog_ The ContributionLog.
    /// @param staking_ The Staking.
    /// @param quorum_ The quorum over that Staking.
    /// @param protocolPayee_ Who is paid the protocol's part.
    /// @param parameters_ Times and fees.
    constructor(
        address access,
        IERC20 token_,
        IDatanetRegistry registry_,
        IContributionLog contributionLog_,
        IStaking staking_,
        IQuorum quorum_,
        address protocolPayee_,
        Parameters memory parameters_
    ) ModelAttestation(token_, staking_, quorum_) AccessManaged(access) {
        _setParameters(parameters_);
        registry = registry_;
        contributionLog = contributionLog_;
        _setProtocolPayee(protocolPayee_);
    }

    /// @inheritdoc IModelRegistry
    function register(
        bytes32 salt,
        ModelVersion calldata modelVersion,
        bytes32[] calldata snapshotIds,
        uint128 perThousandTokensWei,
        PriceSplit calldata split
    ) external returns (bytes32 modelId, uint32 version) {
        modelId = modelIdOf(msg.sender, salt);
        Model storage model = _models[modelId];
        if (model.owner != address(0)) revert ModelExists(modelId);
        if (modelVersion.modelId != modelId) revert WrongModelId(modelId, modelVersion.modelId);
        model.owner = msg.sender;
        model.createdAt = uint64(block.timestamp);
        ownerSince[modelId] = uint64(block.timestamp);
        emit ModelRegistered(modelId, msg.sender);
        version = _addVersion(model, modelVersion, snapshotIds, perThousandTokensWei, split);
    }

    /// @inheritdoc IModelRegistry
    function addVersion(
        ModelVersion calldata modelVersion,
        bytes32[] calldata snapshotIds,
        uint128 perThousandTokensWei,
        PriceSplit calldata split
    ) external returns (uint32 version) {
        Model storage model = _owned(modelVersion.modelId);
        version = _addVersion(model, modelVersion, snapshotIds, perThousandTokensWei, split);
    }

    /// @inheritdoc IModelRegistry
    function activate(bytes32 modelId, uint32 version) external {
        _step(modelId, version, VersionStatus.Attested, VersionStatus.Active);
    }

    /// @inheritdoc IModelRegistry
    function deprecate(bytes32 modelId, uint32 version) external {
        _step(modelId, version, VersionStatus.Active, VersionStatus.Deprecated);
    }

    /// @inheritdoc IModelRegistry
    function revoke(bytes32 modelId, uint32 version) external {
        VersionState storage state = _stateOf(modelId, version);
        VersionStatus from = state.status == VersionStatus.Deprecated ? VersionStatus.Deprecated : VersionStatus.Active;
        _step(modelId, version, from, VersionStatus.Revoked);
        state.revokedAt = uint64(block.timestamp);
        (uint64 latestEpochId, ) = staking.ledger().latestEpoch();
        state.revokedInEpoch = latestEpochId + 1;
    }

    /// @inheritdoc IModelRegistry
    /// @custom:role PARAMETER
    function setBasePayee(bytes32 baseDigest, address payee) external restricted {
        if (baseDigest == 0) revert EmptyDigest("baseDigest");
        basePayeeOf[baseDigest] = payee;
        basePayeeSince[baseDigest] = uint64(block.timestamp);
        emit BasePayeeSet(baseDigest, payee);
    }

    /// @inheritdoc IModelRegistry
    /// @custom:role PARAMETER
    function setProtocolPayee(address payee) external restricted {
        _setProtocolPayee(payee);
    }

    /// @inheritdoc IModelRegistry
    /// @custom:role PARAMETER
    function setParameters(Parameters calldata given) external restricted {
        _setParameters(given);
        emit ParametersSet(given);
    }

    /// @inheritdoc IModelRegistry
    function lineage(
        bytes32 modelId,
        uint32 version,
        uint256 limit
    ) external view returns (Reference[] memory forebears) {
        if (limit > MAX_LINEAGE) limit = MAX_LINEAGE;
        _stateOf(modelId, version);
        Reference[] memory found = new Reference[](limit);
        uint256 count = 0;
        while (count < limit && version != 0) {
            found[count++] = Reference(modelId, version);
            ModelVersion storage child = _versions[modelId][version];
            (modelId, version) = (child.parentModelId, child.parentVersion);
        }
        forebears = new Reference[](count);
        for (uint256 i = 0; i < count; ++i) forebears[i] = found[i];
    }

    function _addVersion(
        Model storage model,
        ModelVersion calldata given,
        bytes32[] calldata snapshotIds,
        uint128 perThousandTokensWei,
        PriceSplit calldata split
    ) private returns (uint32 version) {
        version = ++model.latestVersion;
        if (given.version != version) revert WrongVersionNumber(version, given.version);
        _requireSound(given);
        _requireSplit(split, _useSnapshots(given, snapshotIds));
        _versions[given.modelId][version] = given;
        _splits[given.modelId][version] = split;
        VersionState storage state = _states[given.modelId][version];
        state.versionDigest = keccak256(abi.encode(MODEL_VERSION_TYPEHASH, given));
        state.registeredAt = uint64(block.timestamp);
        state.registeredBlock = uint64(block.number);
        emit VersionRegistered(
            given.modelId,
            version,
            given.baseDigest,
            state.versionDigest,
            given.adapterDigest,
            split,
            _parameters.attestationFeeWei
        );
        _move(given.modelId, version, state, VersionStatus.Registered);
        _addPrice(given.modelId, version, state, Price(perThousandTokensWei, uint64(block.timestamp)));
        _escrowFee(state);
    }

    /// @dev Marks the snapshots as used and returns the highest minimum for contributors among their Datanets, in ppm.
    function _useSnapshots(
        ModelVersion calldata given,
        bytes32[] calldata snapshotIds
    ) private returns (uint32 minimumPpm) {
        uint256 count = snapshotIds.length;
        if (count == 0 || count > MAX_SNAPSHOTS) revert WrongSnapshotCount(count, MAX_SNAPSHOTS);
        bytes32 root = MerkleTree.rootOf(snapshotIds);
        if (root != given.snapshotsRoot) revert WrongSnapshotsRoot(root, given.snapshotsRoot);
        bytes32 previous;
        for (uint256 i = 0; i < count; ++i) {
            bytes32 snapshotId = snapshotIds[i];
            if (snapshotId <= previous) revert SnapshotsNotAscending(i);
            previous = snapshotId;
            if (contributionLog.snapshotStatusOf(snapshotId) != IContributionLog.SnapshotStatus.Sealed) {
                revert SnapshotNotSealed(snapshotId);
            }
            bytes32 datanetId = contributionLog.snapshotOf(snapshotId).datanetId;
            uint32 leastPpm = registry.termsOf(datanetId).contributorsMinimumPpm;
            if (leastPpm > minimumPpm) minimumPpm = leastPpm;
            isSnapshotUsed[snapshotId] = true;
            emit SnapshotUsed(snapshotId, datanetId, given.modelId, given.version);
        }
    }

    function _step(bytes32 modelId, uint32 version, VersionStatus from, VersionStatus to) private {
        _owned(modelId);
        VersionState storage state = _stateOf(modelId, version);
        if (state.status != from) revert InvalidTransition(state.status, to);
        _move(modelId, version, state, to);
    }

    function _setProtocolPayee(address payee) private {
        if (payee == address(0)) revert ZeroAccount();
        protocolPayee = payee;
        protocolPayeeSince = uint64(block.timestamp);
        emit ProtocolPayeeSet(payee);
    }

    function _setParameters(Parameters memory given) private {
        if (given.priceRiseDelaySeconds > MAX_PRICE_RISE_DELAY_SECONDS) {
            revert ParameterOutOfBounds("priceRiseDelaySeconds", given.priceRiseDelaySeconds);
        }
        uint64 window = given.attestationWindowSeconds;
        if (window == 0 || window > MAX_ATTESTATION_WINDOW_SECONDS) {
            revert ParameterOutOfBounds("attestationWindowSeconds", window);
        }
        if (given.attestationFeeWei == 0) revert ParameterOutOfBounds("attestationFeeWei", 0);
        _parameters = given;
    }

    function _requireSound(ModelVersion calldata given) private view {
        if (given.baseDigest == 0) revert EmptyDigest("baseDigest");
        if (given.recipeDigest == 0) revert EmptyDigest("recipeDigest");
        if (given.adapterDigest == 0) revert EmptyDigest("adapterDigest");
        if (given.dataSplit > LAST_DATA_SPLIT) revert UnknownDataSplit(given.dataSplit);
        if (given.recordCapPpm == 0 || given.recordCapPpm > Ppm.WHOLE) {
            revert ParameterOutOfBounds("recordCapPpm", given.recordCapPpm);
        }
        if (given.listedRows == 0 || given.listedRows > MAX_LISTED_ROWS) {
            revert ParameterOutOfBounds("listedRows", given.listedRows);
        }
        bool hasParent = given.parentModelId != 0 || given.parentVersion != 0;
        if (hasParent && _states[given.parentModelId][given.parentVersion].status == VersionStatus.None) {
            revert UnknownParent(given.parentModelId, given.parentVersion);
        }
    }

    function _requireSplit(PriceSplit calldata split, uint32 contributorsMinimumPpm) private pure {
        uint256 sumPpm = uint256(split.contributorsPpm) +
            split.modelOwnerPpm +
            split.datanetOwnersPpm +
            split.providerPpm +
            split.validatorsPpm +
            split.protocolPpm;
        if (sumPpm != Ppm.WHOLE) revert SplitNotWhole(sumPpm);
        if (split.contributorsPpm < contributorsMinimumPpm) {
            revert PartTooLow("contributors", split.contributorsPpm, contributorsMinimumPpm);
        }
        if (split.validatorsPpm < LEAST_VALIDATORS_PPM) {
            revert PartTooLow("validators", split.validatorsPpm, LEAST_VALIDATORS_PPM);
        }
        if (split.protocolPpm < LEAST_PROTOCOL_PPM) {
            revert PartTooLow("protocol", split.protocolPpm, LEAST_PROTOCOL_PPM);
        }
    }
}
