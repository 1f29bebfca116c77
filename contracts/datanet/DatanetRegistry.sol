// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {Succession} from "../governance/Succession.sol";
import {IDatanetRegistry} from "../interfaces/IDatanetRegistry.sol";

/// @title Datanets: owners, terms, curators, see {IDatanetRegistry}
contract DatanetRegistry is IDatanetRegistry, Succession {
    /// @notice The longest delay that a deployment may choose, in seconds.
    uint64 public constant MAX_TERMS_DELAY_SECONDS = 30 days;

    /// @notice What a price split must leave to validators and protocol (20,000 and 10,000 ppm) bounds every minimum.
    uint32 public constant MAX_CONTRIBUTORS_MINIMUM_PPM = 970_000;

    /// @inheritdoc IDatanetRegistry
    uint64 public immutable termsDelaySeconds;

    struct ProposedTerms {
        Terms terms;
        uint64 effectiveAt;
    }

    /// @inheritdoc IDatanetRegistry
    mapping(bytes32 datanetId => uint64) public payeeSince;

    mapping(bytes32 datanetId => Datanet) private _datanets;
    mapping(bytes32 datanetId => ProposedTerms) private _proposed;
    mapping(bytes32 datanetId => mapping(address account => bool)) private _isCurator;

    /// @param access The ProtocolAccess of this deployment.
    /// @param delaySeconds Seconds between a proposal of terms and their coming into force.
    constructor(address access, uint64 delaySeconds) AccessManaged(access) {
        if (delaySeconds > MAX_TERMS_DELAY_SECONDS) revert DelayTooLong(delaySeconds, MAX_TERMS_DELAY_SECONDS);
        termsDelaySeconds = delaySeconds;
    }

    /// @inheritdoc IDatanetRegistry
    function create(
        bytes32 salt,
        Terms calldata terms,
        bytes32 metadataDigest
    ) external returns (bytes32 datanetId) {
        _requireSound(terms);
        datanetId = datanetIdOf(msg.sender, salt);
        Datanet storage datanet = _datanets[datanetId];
        if (datanet.owner != address(0)) revert DatanetExists(datanetId);
        datanet.owner = msg.sender;
        datanet.createdAt = uint64(block.timestamp);
        datanet.payee = msg.sender;
        payeeSince[datanetId] = uint64(block.timestamp);
        datanet.metadataDigest = metadataDigest;
        datanet.terms = terms;
        emit DatanetCreated(
            datanetId,
            msg.sender,
            terms.licenseDigest,
            metadataDigest,
            terms.contributorsMinimumPpm,
            terms.weakestDisclosure
        );
    }

    /// @inheritdoc IDatanetRegistry
    function proposeTerms(bytes32 datanetId, Terms calldata terms) external {
        Datanet storage datanet = _owned(datanetId);
        if (datanet.isRetired) revert DatanetIsRetired(datanetId);
        _requireSound(terms);
        uint64 effectiveAt = uint64(block.timestamp) + termsDelaySeconds;
        emit TermsProposed(
            datanetId,
            terms.licenseDigest,
            terms.contributorsMinimumPpm,
            terms.weakestDisclosure,
            effectiveAt
        );
        if (termsDelaySeconds == 0) {
            _apply(datanetId, terms);
        } else {
            _proposed[datanetId] = ProposedTerms(terms, effectiveAt);
        }
    }

    /// @inheritdoc IDatanetRegistry
    function applyTerms(bytes32 datanetId) external {
        ProposedTerms memory proposed = _proposed[datanetId];
        if (proposed.effectiveAt == 0) revert NoTermsProposed(datanetId);
        if (block.timestamp < proposed.effectiveAt) revert TermsNotRipe(proposed.effectiveAt);
        delete _proposed[datanetId];
        _apply(datanetId, proposed.terms);
    }

    /// @inheritdoc IDatanetRegistry
    function setCurator(bytes32 datanetId, address account, bool isCurator) external {
        _owned(datanetId);
        if (account == address(0)) revert ZeroAccount();
        _isCurator[datanetId][account] = isCurator;
        emit CuratorSet(datanetId, account, isCurator);
    }

    /// @inheritdoc IDatanetRegistry
    function setPayee(bytes32 datanetId, address payee) external {
        Datanet storage datanet = _owned(datanetId);
        if (payee == address(0)) revert ZeroAccount();
        datanet.payee = payee;
        payeeSince[datanetId] = uint64(block.timestamp);
        emit PayeeSet(datanetId, payee);
    }

    /// @inheritdoc IDatanetRegistry
    function transferOwnership(bytes32 datanetId, address pendingOwner) external {
        Datanet storage datanet = _owned(datanetId);
        datanet.pendingOwner = pendingOwner;
        emit OwnershipTransferStarted(datanetId, msg.sender, pendingOwner);
    }

    /// @inheritdoc IDatanetRegistry
    function acceptOwnership(bytes32 datanetId) external {
        Datanet storage datanet = _known(datanetId);
        if (msg.sender != datanet.pendingOwner) revert NotPendingOwner(datanetId, msg.sender);
        address previous = datanet.owner;
        datanet.owner = msg.sender;
        datanet.payee = msg.sender;
        payeeSince[datanetId] = uint64(block.timestamp);
        delete datanet.pendingOwner;
        emit OwnershipTransferred(datanetId, previous, msg.sender);
        emit PayeeSet(datanetId, msg.sender);
    }

    /// @inheritdoc IDatanetRegistry
    function retire(bytes32 datanetId) external {
        Datanet storage datanet = _owned(datanetId);
        if (datanet.isRetired) revert DatanetIsRetired(datanetId);
        datanet.isRetired = true;
        delete _proposed[datanetId];
        emit DatanetRetired(datanetId);
    }

    /// @inheritdoc IDatanetRegistry
    function datanetOf(bytes32 datanetId) external view returns (Datanet memory) {
        return _known(datanetId);
    }

    /// @inheritdoc IDatanetRegistry
    function termsOf(bytes32 datanetId) external view returns (Terms memory) {
        return _known(datanetId).terms;
    }

    /// @inheritdoc IDatanetRegistry
    function proposedTermsOf(bytes32 datanetId) external view returns (Terms memory terms, uint64 effectiveAt) {
        ProposedTerms memory proposed = _proposed[datanetId];
        return (proposed.terms, proposed.effectiveAt);
    }

    /// @inheritdoc IDatanetRegistry
    function openLicenseOf(bytes32 datanetId) external view returns (bytes32 licenseDigest) {
        Datanet storage datanet = _known(datanetId);
        if (datanet.isRetired) revert DatanetIsRetired(datanetId);
        return datanet.terms.licenseDigest;
    }

    /// @inheritdoc IDatanetRegistry
    function payeeOf(bytes32 datanetId) external view returns (address) {
        return _known(datanetId).payee;
    }

    /// @inheritdoc IDatanetRegistry
    function mayCurate(bytes32 datanetId, address account) external view returns (bool) {
        return _known(datanetId).owner == account || _isCurator[datanetId][account];
    }

    /// @inheritdoc IDatanetRegistry
    function datanetIdOf(address creator, bytes32 salt) public view returns (bytes32) {
        return keccak256(abi.encode(block.chainid, address(this), creator, salt));
    }

    function _apply(bytes32 datanetId, Terms memory terms) private {
        _datanets[datanetId].terms = terms;
        emit TermsApplied(
            datanetId,
            terms.licenseDigest,
            terms.contributorsMinimumPpm,
            terms.weakestDisclosure
        );
    }

    function _known(bytes32 datanetId) private view returns (Datanet storage datanet) {
        datanet = _datanets[datanetId];
        if (datanet.owner == address(0)) revert UnknownDatanet(datanetId);
    }

    function _owned(bytes32 datanetId) private view returns (Datanet storage datanet) {
        datanet = _known(datanetId);
        if (datanet.owner != msg.sender) revert NotDatanetOwner(datanetId, msg.sender);
    }

    function _requireSound(Terms calldata terms) private pure {
        if (terms.licenseDigest == 0) revert EmptyLicense();
        if (terms.contributorsMinimumPpm > MAX_CONTRIBUTORS_MINIMUM_PPM) {
            revert ContributorsMinimumTooHigh(terms.contributorsMinimumPpm, MAX_CONTRIBUTORS_MINIMUM_PPM);
        }
    }
}
