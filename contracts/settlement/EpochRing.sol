// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {IAttributionLedger} from "../interfaces/IAttributionLedger.sol";
import {ICreditEscrow} from "../interfaces/ICreditEscrow.sol";
import {IQuorum} from "../interfaces/IQuorum.sol";
import {IStaking} from "../interfaces/IStaking.sol";
import {Leaves} from "../libraries/Leaves.sol";
import {Ppm} from "../libraries/Ppm.sol";

/// @title How an epoch becomes final: proposed, sealed, committed into a ring, or void
/// @dev One slot an epoch: keccak(epoch digest, committedAt, signersDigest). Finality is a comparison of times, not a
/// transaction. The ring never overwrites a pending or the last final epoch: commits are at least one shortest epoch
/// apart (the attempt opens that long after the last commit), so at most ceil(window / epoch) of them are pending.
abstract contract EpochRing is IAttributionLedger, EIP712 {
    using Leaves for *;

    /// @dev `attempt` and `openedAt` as in {Attempt}. After an invalidation, all ids go on at `floor`, above every
    /// attempt that was ever proposed, so that no honest validator signs one (id, attempt) twice.
    struct Head {
        uint64 latestEpochId;
        uint64 openedAt;
        uint32 attempt;
        uint32 highestAttempt;
        uint32 floor;
        Phase phase;
    }

    /// @dev Who proposed the attempt in progress, by which set, in which block.
    struct Turn {
        address proposer;
        uint48 validatorSetId; // packs; sets change far less often than 2^48 times
        uint48 proposedInBlock;
    }

    uint256 private constant FIRST_SEAL_BLOCK = 2;
    uint256 private constant LAST_SEAL_BLOCK = 256;

    /// @notice Where vouchers are redeemed, and whose domain receipts are signed under.
    ICreditEscrow public immutable escrow;

    /// @notice Who proposes, who votes, who is slashed for an expired attempt.
    IStaking public immutable staking;

    /// @notice How votes are counted.
    IQuorum public immutable quorum;

    /// @notice Who may invalidate; zero: nobody.
    address public immutable disputes;

    uint64 private immutable _minimumEpochSeconds;
    uint64 private immutable _windowSeconds;
    uint64 private immutable _attemptTimeoutSeconds;
    uint32 private immutable _ringSize;
    uint32 private immutable _expirySlashPpm;

    Head private _head;
    Turn private _turn;
    bytes32 private _proposalDigest;
    bytes32 private _sealedHash;
    bytes32 private _latestDigest;
    mapping(uint256 place => bytes32 entry) private _ring;

    /// @inheritdoc IAttributionLedger
    uint128 public funded;

    constructor(
        ICreditEscrow escrow_,
        IStaking staking_,
        IQuorum quorum_,
        address disputes_,
        Parameters memory given
    ) EIP712("Headwater AttributionLedger", "1") {
        _requireBounds(given);
        if (address(escrow_.ledger()) != address(this)) revert WrongWiring(address(escrow_));
        if (address(staking_.ledger()) != address(this)) revert WrongWiring(address(staking_));
        if (address(quorum_) == address(0)) revert ZeroAddress();
        if (escrow_.laneCloseDelaySeconds() <= 2 * uint256(given.minimumEpochSeconds)) {
            revert ParameterOutOfBounds("laneCloseDelaySeconds", escrow_.laneCloseDelaySeconds());
        }
        if (staking_.exitDelaySeconds() <= uint256(given.windowSeconds) + staking_.evidenceWindowSeconds()) {
            revert ParameterOutOfBounds("exitDelaySeconds", staking_.exitDelaySeconds());
        }
        escrow = escrow_;
        staking = staking_;
        quorum = quorum_;
        disputes = disputes_;
        _minimumEpochSeconds = given.minimumEpochSeconds;
        _windowSeconds = given.windowSeconds;
        _attemptTimeoutSeconds = given.attemptTimeoutSeconds;
        _ringSize = given.ringSize;
        _expirySlashPpm = given.expirySlashPpm;
        _head.openedAt = uint64(block.timestamp);
    }

    /// @inheritdoc IAttributionLedger
    function proposeEpoch(Leaves.Proposal calldata proposal) external {
        Head memory head = _head;
        bytes32 expired = _passOnExpired(head);
        address late = _turn.proposer;
        if (proposal.epochId != head.latestEpochId + 1) revert WrongEpoch(head.latestEpochId + 1, proposal.epochId);
        if (proposal.attempt < head.attempt) revert WrongAttempt(head.attempt, proposal.attempt);
        uint256 opensAt = head.openedAt + uint256(proposal.attempt - head.attempt) * _attemptTimeoutSeconds;
        if (block.timestamp < opensAt) revert TooEarly(opensAt);
        if (proposal.previousEpoch != _latestDigest) revert WrongParent(_latestDigest, proposal.previousEpoch);
        (address proposer, uint64 setId) = _requireInTurn(uint256(proposal.epochId) + proposal.attempt);
        bytes32 digest = proposal.hash();
        _turn = Turn(proposer, uint48(setId), uint48(block.number));
        _proposalDigest = digest;
        head.attempt = proposal.attempt;
        if (proposal.attempt > head.highestAttempt) head.highestAttempt = proposal.attempt;
        head.openedAt = uint64(block.timestamp);
        head.phase = Phase.Proposed;
        _head = head;
        emit EpochProposed(proposal.epochId, proposal.attempt, proposer, setId, digest, proposal);
        // Last, since a slash may change the set: whose turn it is must not depend on it.
        if (expired != 0) _slashLate(late, expired);
    }

    /// @inheritdoc IAttributionLedger
    function seal() external returns (bytes32 sealedHash) {
        Head memory head = _head;
        if (head.phase != Phase.Proposed) revert WrongPhase(head.phase);
        _requireInTime(head);
        uint256 proposedInBlock = _turn.proposedInBlock;
        if (block.number < proposedInBlock + FIRST_SEAL_BLOCK) revert SealTooEarly(proposedInBlock + FIRST_SEAL_BLOCK);
        if (block.number > proposedInBlock + LAST_SEAL_BLOCK) revert SealTooLate(proposedInBlock + LAST_SEAL_BLOCK);
        sealedHash = blockhash(proposedInBlock + 1);
        _sealedHash = sealedHash;
        _head.phase = Phase.Sealed;
        emit EpochSealed(head.latestEpochId + 1, head.attempt, sealedHash);
    }

    /// @inheritdoc IAttributionLedger
    function expireAttempt() external {
        Head memory head = _head;
        bytes32 expired = _passOnExpired(head);
        if (expired == 0) revert WrongPhase(Phase.Idle);
        _head = head;
        _slashLate(_turn.proposer, expired);
    }

    /// @inheritdoc IAttributionLedger
    function commitEpoch(
        Leaves.Epoch calldata epoch,
        uint32 receiptCount,
        bytes32 bundleDigest,
        bytes calldata signatures
    ) external {
        Head memory head = _head;
        Turn memory turn = _turn;
        if (head.phase != Phase.Sealed) revert WrongPhase(head.phase);
        _requireInTime(head);
        if (epoch.epochId != head.latestEpochId + 1) revert WrongEpoch(head.latestEpochId + 1, epoch.epochId);
        if (epoch.attempt != head.attempt) revert WrongAttempt(head.attempt, epoch.attempt);
        if (epoch.validatorSetId != turn.validatorSetId) {
            revert WrongValidatorSet(turn.validatorSetId, epoch.validatorSetId);
        }
        _requireProposed(epoch, receiptCount, bundleDigest);
        if (epoch.payoutTotal > funded) revert Overcommitted(epoch.payoutTotal, funded);
        bytes32 digest = epoch.hash();
        uint256[] memory votes = quorum.requireQuorum(epoch.validatorSetId, _hashTypedDataV4(digest), signatures);
        _append(head, turn.proposer, epoch, digest, votes);
    }

    /// @inheritdoc IAttributionLedger
    function invalidate(CommittedEpoch calldata committed) external {
        if (msg.sender != disputes) revert OnlyDisputes(msg.sender);
        (bool known, bool isFinal) = statusOf(committed);
        uint64 epochId = committed.epoch.epochId;
        if (!known) revert UnknownEpoch(epochId);
        if (isFinal) revert EpochFinal(_finalAt(committed));
        Head memory head = _head;
        head.floor = head.highestAttempt + 1;
        head.attempt = head.floor;
        head.openedAt = uint64(block.timestamp);
        head.phase = Phase.Idle;
        emit EpochInvalidated(epochId, head.latestEpochId, head.floor);
        head.latestEpochId = epochId - 1;
        _head = head;
        _latestDigest = committed.epoch.previousEpoch;
    }

    /// @inheritdoc IAttributionLedger
    function statusOf(CommittedEpoch calldata committed) public view returns (bool known, bool isFinal) {
        uint64 epochId = committed.epoch.epochId;
        if (epochId == 0 || epochId > _head.latestEpochId) return (false, false);
        bytes32 entry = _entry(committed.epoch.hash(), committed.committedAt, committed.signersDigest);
        known = _ring[epochId % _ringSize] == entry;
        isFinal = known && block.timestamp >= _finalAt(committed);
    }

    /// @inheritdoc IAttributionLedger
    function latestEpoch() external view returns (uint64, bytes32) {
        return (_head.latestEpochId, _latestDigest);
    }

    /// @inheritdoc IAttributionLedger
    function entryOf(uint64 epochId) external view returns (bytes32) {
        uint64 latest = _head.latestEpochId;
        if (epochId == 0 || epochId > latest || latest - epochId >= _ringSize) return 0;
        return _ring[epochId % _ringSize];
    }

    /// @inheritdoc IAttributionLedger
    function currentAttempt() external view returns (Attempt memory) {
        Head memory head = _head;
        Attempt memory attempt;
        attempt.epochId = head.latestEpochId + 1;
        attempt.attempt = head.attempt;
        attempt.phase = head.phase;
        attempt.openedAt = head.openedAt;
        if (head.phase == Phase.Idle) return attempt;
        attempt.proposer = _turn.proposer;
        attempt.validatorSetId = _turn.validatorSetId;
        attempt.proposedInBlock = _turn.proposedInBlock;
        attempt.proposalDigest = _proposalDigest;
        if (head.phase == Phase.Sealed) attempt.sealedHash = _sealedHash;
        return attempt;
    }

    /// @inheritdoc IAttributionLedger
    function epochSigningDigest(Leaves.Epoch calldata epoch) public view returns (bytes32) {
        return _hashTypedDataV4(epoch.hash());
    }

    /// @inheritdoc IAttributionLedger
    function parameters() external view returns (Parameters memory) {
        return
            Parameters(_minimumEpochSeconds, _windowSeconds, _attemptTimeoutSeconds, _ringSize, _expirySlashPpm);
    }

    function _requireFinal(CommittedEpoch calldata committed) internal view {
        (bool known, bool isFinal) = statusOf(committed);
        if (!known) revert UnknownEpoch(committed.epoch.epochId);
        if (!isFinal) revert EpochNotFinal(_finalAt(committed));
    }

    /// @dev If an attempt is in progress it must be out of time: changes `head` to the next one, in memory.
    /// @return evidenceId Names the expired attempt; zero if none was in progress.
    function _passOnExpired(Head memory head) private returns (bytes32 evidenceId) {
        if (head.phase == Phase.Idle) return 0;
        uint256 expiresAt = uint256(head.openedAt) + _attemptTimeoutSeconds;
        if (block.timestamp < expiresAt) revert AttemptNotExpired(expiresAt);
        uint64 epochId = head.latestEpochId + 1;
        emit AttemptExpired(epochId, head.attempt, _turn.proposer);
        evidenceId = keccak256(abi.encode("expired attempt", epochId, head.attempt));
        head.attempt += 1;
        head.openedAt = uint64(expiresAt);
        head.phase = Phase.Idle;
    }

    function _slashLate(address proposer, bytes32 evidenceId) private {
        staking.slash(proposer, IStaking.Role.Validator, _expirySlashPpm, evidenceId, address(0));
    }

    function _append(
        Head memory head,
        address proposer,
        Leaves.Epoch calldata epoch,
        bytes32 digest,
        uint256[] memory votes
    ) private {
        uint64 committedAt = uint64(block.timestamp);
        _ring[epoch.epochId % _ringSize] = _entry(digest, committedAt, keccak256(abi.encode(proposer, votes)));
        _latestDigest = digest;
        head.latestEpochId = epoch.epochId;
        head.attempt = head.floor;
        head.openedAt = committedAt + _minimumEpochSeconds;
        head.phase = Phase.Idle;
        _head = head;
        emit EpochCommitted(epoch.epochId, epoch.attempt, digest, epoch, committedAt, proposer, votes);
    }

    function _requireInTurn(uint256 turn) private view returns (address owner, uint64 setId) {
        address key;
        (owner, key, setId) = staking.validatorInTurn(turn);
        if (msg.sender != owner && msg.sender != key) revert NotInTurn(owner, msg.sender);
    }

    function _requireInTime(Head memory head) private view {
        uint256 expiresAt = uint256(head.openedAt) + _attemptTimeoutSeconds;
        if (block.timestamp >= expiresAt) revert AttemptTimedOut(expiresAt);
    }

    function _requireProposed(Leaves.Epoch calldata epoch, uint32 receiptCount, bytes32 bundleDigest) private view {
        bytes32 given = Leaves
            .Proposal(
                epoch.epochId,
                epoch.attempt,
                epoch.previousEpoch,
                epoch.lanesRoot,
                epoch.receiptsRoot,
                epoch.attributionsRoot,
                receiptCount,
                epoch.chunksRoot,
                bundleDigest
            )
            .hash();
        if (given != _proposalDigest) revert ProposalMismatch(_proposalDigest, given);
    }

    function _finalAt(CommittedEpoch calldata committed) private view returns (uint256) {
        return uint256(committed.committedAt) + _windowSeconds;
    }

    function _entry(bytes32 digest, uint64 committedAt, bytes32 signersDigest) private pure returns (bytes32) {
        return keccak256(abi.encode(digest, committedAt, signersDigest));
    }

    function _requireBounds(Parameters memory given) private pure {
        uint64 epoch = given.minimumEpochSeconds;
        if (epoch == 0 || epoch > 7 days) revert ParameterOutOfBounds("minimumEpochSeconds", epoch);
        if (given.windowSeconds == 0 || given.windowSeconds > 14 days) {
            revert ParameterOutOfBounds("windowSeconds", given.windowSeconds);
        }
        if (given.attemptTimeoutSeconds == 0 || given.attemptTimeoutSeconds >= epoch) {
            revert ParameterOutOfBounds("attemptTimeoutSeconds", given.attemptTimeoutSeconds);
        }
        uint256 leastRing = (uint256(given.windowSeconds) + epoch - 1) / epoch + 2;
        if (given.ringSize < leastRing) revert ParameterOutOfBounds("ringSize", given.ringSize);
        if (given.expirySlashPpm > Ppm.WHOLE) revert ParameterOutOfBounds("expirySlashPpm", given.expirySlashPpm);
    }
}
