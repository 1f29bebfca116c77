// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Who owns a Datanet, under which terms its records may be used, and who curates it
/// @notice Ids derive from their creator, so nobody can take another's. Terms change forward only: what was signed
/// under earlier ones keeps them. Nothing here knows a record.
interface IDatanetRegistry {
    /// @notice Who may see the prompts and answers of a lane.
    enum Disclosure {
        Confidential,
        Public,
        None
    }

    /// @notice The terms that contributors sign and that models trained on the records must keep.
    /// @param licenseDigest sha2-256 of the licence manifest.
    /// @param contributorsMinimumPpm Least part of a price that goes to contributors, in ppm.
    /// @param weakestDisclosure Weakest lane disclosure under which such a model may answer.
    struct Terms {
        bytes32 licenseDigest;
        uint32 contributorsMinimumPpm;
        Disclosure weakestDisclosure;
    }

    /// @notice A Datanet as it stands.
    /// @param owner The account that decides about it.
    /// @param createdAt Seconds since the Unix epoch.
    /// @param isRetired Whether it has stopped taking contributions and snapshots.
    /// @param pendingOwner Who may accept the ownership, or zero.
    /// @param payee Who is paid for the owner.
    /// @param metadataDigest sha2-256 of its public description.
    /// @param terms The terms in force.
    struct Datanet {
        address owner;
        uint64 createdAt;
        bool isRetired;
        address pendingOwner;
        address payee;
        bytes32 metadataDigest;
        Terms terms;
    }

    event DatanetCreated(
        bytes32 indexed datanetId,
        address indexed owner,
        bytes32 licenseDigest,
        bytes32 metadataDigest,
        uint32 contributorsMinimumPpm,
        Disclosure weakestDisclosure
    );
    event TermsProposed(
        bytes32 indexed datanetId,
        bytes32 licenseDigest,
        uint32 contributorsMinimumPpm,
        Disclosure weakestDisclosure,
        uint64 effectiveAt
    );
    event TermsApplied(
        bytes32 indexed datanetId,
        bytes32 licenseDigest,
        uint32 contributorsMinimumPpm,
        Disclosure weakestDisclosure
    );
    event CuratorSet(bytes32 indexed datanetId, address indexed curator, bool isCurator);
    event PayeeSet(bytes32 indexed datanetId, address indexed payee);
    event OwnershipTransferStarted(bytes32 indexed datanetId, address indexed owner, address indexed pendingOwner);
    event OwnershipTransferred(bytes32 indexed datanetId, address indexed previousOwner, address indexed owner);
    event DatanetRetired(bytes32 indexed datanetId);

    /// @notice This creator has used this salt before.
    error DatanetExists(bytes32 datanetId);
    /// @notice No Datanet has this id.
    error UnknownDatanet(bytes32 datanetId);
    /// @notice The Datanet is retired, for good.
    error DatanetIsRetired(bytes32 datanetId);
    /// @notice Only the owner may do this.
    error NotDatanetOwner(bytes32 datanetId, address caller);
    /// @notice Only the account to which the ownership was offered may accept it.
    error NotPendingOwner(bytes32 datanetId, address caller);
    /// @notice With this minimum no price split could leave the validators and the protocol their least parts.
    error ContributorsMinimumTooHigh(uint32 minimumPpm, uint32 maximumPpm);
    /// @notice A licence digest of zero names no licence.
    error EmptyLicense();
    /// @notice No account is zero.
    error ZeroAccount();
    /// @notice Nothing has been proposed.
    error NoTermsProposed(bytes32 datanetId);
    /// @notice The proposed terms come into force at this time (seconds since the Unix epoch), not before.
    error TermsNotRipe(uint64 effectiveAt);
    /// @notice The delay is longer than the code allows, in seconds.
    error DelayTooLong(uint64 delaySeconds, uint64 maximumSeconds);

    /// @notice Creates a Datanet that the caller owns.
    /// @param salt The creator's own number for it.
    /// @param terms The first terms, in force at once.
    /// @param metadataDigest sha2-256 of its public description.
    /// @return datanetId See {datanetIdOf}.
    function create(
        bytes32 salt,
        Terms calldata terms,
        bytes32 metadataDigest
    ) external returns (bytes32 datanetId);

    /// @notice Proposes other terms; the owner only. They replace an earlier proposal, and are in force at once where
    /// the delay is zero.
    function proposeTerms(bytes32 datanetId, Terms calldata terms) external;

    /// @notice Puts proposed terms into force once the delay is over; anyone may.
    function applyTerms(bytes32 datanetId) external;

    /// @notice Makes an account a curator, or no longer one; the owner only.
    function setCurator(bytes32 datanetId, address account, bool isCurator) external;

    /// @notice Names who is paid for the owner; the owner only.
    function setPayee(bytes32 datanetId, address payee) external;

    /// @notice Offers the ownership; the owner only. Zero takes an offer back.
    function transferOwnership(bytes32 datanetId, address pendingOwner) external;

    /// @notice Takes an offered ownership; the payee becomes the new owner.
    function acceptOwnership(bytes32 datanetId) external;

    /// @notice Ends contributions and snapshots for good; the owner only. Withdrawals and payments go on.
    function retire(bytes32 datanetId) external;

    /// @notice Seconds between a proposal of terms and their coming into force.
    function termsDelaySeconds() external view returns (uint64);

    /// @notice keccak256(abi.encode(chain id, this contract, creator, salt)).
    function datanetIdOf(address creator, bytes32 salt) external view returns (bytes32);

    /// @notice The Datanet as it stands. Reverts with {UnknownDatanet}.
    function datanetOf(bytes32 datanetId) external view returns (Datanet memory);

    /// @notice The terms in force. Reverts with {UnknownDatanet}.
    function termsOf(bytes32 datanetId) external view returns (Terms memory);

    /// @notice The proposed terms and when they may be applied; zeros where there are none.
    function proposedTermsOf(bytes32 datanetId) external view returns (Terms memory terms, uint64 effectiveAt);

    /// @notice The licence that a contribution must be signed under now.
    /// Reverts with {UnknownDatanet} or {DatanetIsRetired}.
    function openLicenseOf(bytes32 datanetId) external view returns (bytes32 licenseDigest);

    /// @notice Since when the Datanet is paid where it is, in seconds since the Unix epoch; 0 = there is no such Datanet.
    function payeeSince(bytes32 datanetId) external view returns (uint64);

    /// @notice Who is paid for the Datanet's owner. Reverts with {UnknownDatanet}.
    function payeeOf(bytes32 datanetId) external view returns (address);

    /// @notice Whether the account is the Datanet's owner or one of its curators.
    function mayCurate(bytes32 datanetId, address account) external view returns (bool);
}
