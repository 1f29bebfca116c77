// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModelRegistry} from "../interfaces/IModelRegistry.sol";

/// @title Models, their owners, and the one place where a version's status changes
abstract contract ModelBase is IModelRegistry {
    mapping(bytes32 modelId => Model) internal _models;
    mapping(bytes32 modelId => mapping(uint32 version => ModelVersion)) internal _versions;
    mapping(bytes32 modelId => mapping(uint32 version => VersionState)) internal _states;
    mapping(bytes32 modelId => mapping(uint32 version => PriceSplit)) internal _splits;

    Parameters internal _parameters;

    /// @inheritdoc IModelRegistry
    mapping(bytes32 modelId => uint64) public ownerSince;

    /// @inheritdoc IModelRegistry
    function transferOwnership(bytes32 modelId, address pendingOwner) external {
        Model storage model = _owned(modelId);
        model.pendingOwner = pendingOwner;
        emit OwnershipTransferStarted(modelId, msg.sender, pendingOwner);
    }

    /// @inheritdoc IModelRegistry
    function acceptOwnership(bytes32 modelId) external {
        Model storage model = _known(modelId);
        if (msg.sender != model.pendingOwner) revert NotPendingOwner(modelId, msg.sender);
        address previous = model.owner;
        model.owner = msg.sender;
        delete model.pendingOwner;
        ownerSince[modelId] = uint64(block.timestamp);
        emit OwnershipTransferred(modelId, previous, msg.sender);
    }

    /// @inheritdoc IModelRegistry
    function parameters() external view returns (Parameters memory) {
        return _parameters;
    }

    /// @inheritdoc IModelRegistry
    function modelOf(bytes32 modelId) external view returns (Model memory) {
        return _known(modelId);
    }

    /// @inheritdoc IModelRegistry
    function versionOf(bytes32 modelId, uint32 version) external view returns (ModelVersion memory) {
        _stateOf(modelId, version);
        return _versions[modelId][version];
    }

    /// @inheritdoc IModelRegistry
    function commitmentOf(bytes32 modelId, uint32 version) external view returns (Commitment memory) {
        ModelVersion storage stored = _versions[modelId][version];
        return
            Commitment(
                stored.baseDigest,
                stored.adapterDigest,
                stored.methodId,
                stored.indexRoot,
                stored.indexRows,
                stored.floorUnit,
                stored.recordCapPpm,
                stored.listedRows
            );
    }

    /// @inheritdoc IModelRegistry
    function stateOf(bytes32 modelId, uint32 version) external view returns (VersionState memory) {
        return _stateOf(modelId, version);
    }

    /// @inheritdoc IModelRegistry
    function splitOf(bytes32 modelId, uint32 version) external view returns (PriceSplit memory) {
        _stateOf(modelId, version);
        return _splits[modelId][version];
    }

    /// @inheritdoc IModelRegistry
    function modelIdOf(address creator, bytes32 salt) public view returns (bytes32) {
        return keccak256(abi.encode(block.chainid, address(this), creator, salt));
    }

    /// @dev The caller has checked that the step is one of PROTOCOL.md §9.
    function _move(bytes32 modelId, uint32 version, VersionState storage state, VersionStatus to) internal {
        emit StatusChanged(modelId, version, state.status, to);
        state.status = to;
    }

    function _known(bytes32 modelId) internal view returns (Model storage model) {
        model = _models[modelId];
        if (model.owner == address(0)) revert UnknownModel(modelId);
    }

    function _owned(bytes32 modelId) internal view returns (Model storage model) {
        model = _known(modelId);
        if (model.owner != msg.sender) revert NotModelOwner(modelId, msg.sender);
    }

    function _stateOf(bytes32 modelId, uint32 version) internal view returns (VersionState storage state) {
        state = _states[modelId][version];
        if (state.status == VersionStatus.None) revert UnknownVersion(modelId, version);
    }
}
