// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAttributionLedger} from "../interfaces/IAttributionLedger.sol";
import {IStaking} from "../interfaces/IStaking.sol";
import {Leaves} from "../libraries/Leaves.sol";
import {EpochState} from "./EpochState.sol";

/// @title How an epoch becomes final: proposed, sealed, committed into a ring, or void
/// @dev Finality is a comparison of times, not a transaction. The ring never overwrites a pending or the last final
/// epoch: commits are at least one shortest epoch apart (the attempt opens that long after the last commit), so at most
/// ceil(window / epoch) of them are pending.
abstract contract EpochRing is EpochState {
    using Leaves for *;

    uint256 private constant FIRST_SEAL_BLOCK = 2;
    uint256 private constant LAST_SEAL_BLOCK = 256;

    /// @inheritdoc IAttributionLedger
    function proposeEpoch(
        Leaves.Proposal calldata proposal,
        uint64 parentCommittedAt,
        bytes32 parentSignersDigest
    ) external {
        Head memory head = _head;
        if (block.timestamp < head.pausedUntil) revert PausedUntil(head.pausedUntil);
        _requireNotTerminal(head);
        bytes32 expired = _passOnExpired(head);
        address late = expired == 0 ? address(0) : _turn.proposer;
        if (proposal.epochId != _nextId(head)) revert WrongEpoch(_nextId(head), proposal.epochId);
        if (proposal.attempt < head.attempt) revert WrongAttempt(head.attempt, proposal.attempt);
        uint256 opensAt = head.openedAt + uint256(proposal.attempt - head.attempt) * _attemptTimeoutSeconds;
        if (block.timestamp < opensAt) revert TooEarly(opensAt);
        _requireParent(head.latestEpochId, proposal.previousEpoch, parentCommittedAt, parentSignersDigest);
        (address proposer, uint64 setId) = _requireInTurn(uint256(proposal.epochId) + proposal.attempt);
        bytes32 digest = keccak256(abi.encode(Leaves.PROPOSAL_TYPEHASH, proposal)); // from calldata, without a copy
        _turn = Turn(proposer, uint48(setId), uint48(block.number));
        _proposalDigest = digest;
        head.attempt = proposal.attempt;
        if (proposal.attempt > head.highestAttempt) head.highestAttempt = proposal.attempt;
        head.openedAt = uint40(block.timestamp);
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
        emit EpochSealed(_nextId(head), head.attempt, sealedHash);
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
        _requireNotTerminal(head);
        if (epoch.epochId != _nextId(head)) revert WrongEpoch(_nextId(head), epoch.epochId);
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
        uint40 time = uint40(block.timestamp);
        head.openedAt = time < head.pausedUntil ? head.pausedUntil : time;
        head.phase = Phase.Idle;
        emit EpochInvalidated(epochId, head.latestEpochId, head.floor);
        head.latestEpochId = uint32(epochId - 1);
        _head = head;
    }

    /// @dev A pause ends an attempt in progress, at nobody's cost: its time cannot be given back. One that is out of time
    /// already is slashed as ever. What is proposed afterwards has a number of its own.
    function _setPausedUntil(uint64 until) internal override {
        Head memory head = _head;
        bytes32 expired;
        if (head.phase != Phase.Idle) {
            if (block.timestamp >= uint256(head.openedAt) + _attemptTimeoutSeconds) {
                expired = _passOnExpired(head);
            } else {
                emit AttemptPaused(_nextId(head), head.attempt);
                head.attempt += 1;
                head.phase = Phase.Idle;
            }
        }
        uint40 nextEpochAt = uint40(uint256(head.lastCommittedAt) + _minimumEpochSeconds);
        head.pausedUntil = uint40(until);
        head.openedAt = until > nextEpochAt ? uint40(until) : nextEpochAt;
        _head = head;
        if (expired != 0) _slashLate(_turn.proposer, expired);
    }

    /// @dev If an attempt is in progress it must be out of time: changes `head` to the next one, in memory.
    /// @return evidenceId Names the expired attempt; zero if none was in progress.
    function _passOnExpired(Head memory head) private returns (bytes32 evidenceId) {
        if (head.phase == Phase.Idle) return 0;
        uint256 expiresAt = uint256(head.openedAt) + _attemptTimeoutSeconds;
        if (block.timestamp < expiresAt) revert AttemptNotExpired(expiresAt);
        uint64 epochId = _nextId(head);
        emit AttemptExpired(epochId, head.attempt, _turn.proposer);
        evidenceId = keccak256(abi.encode("expired attempt", epochId, head.attempt));
        head.attempt += 1;
        head.openedAt = uint40(expiresAt);
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
        head.latestEpochId += 1;
        head.attempt = head.floor;
        head.openedAt = uint40(committedAt + _minimumEpochSeconds);
        head.lastCommittedAt = uint40(committedAt);
        head.phase = Phase.Idle;
        _head = head;
        emit EpochCommitted(epoch.epochId, epoch.attempt, digest, epoch, committedAt, proposer, votes);
    }

    function _requireParent(
        uint64 parentId,
        bytes32 digest,
        uint64 committedAt,
        bytes32 signersDigest
    ) private view {
        bool isParent = parentId == 0 ? digest == 0 : _isInRing(parentId, digest, committedAt, signersDigest);
        if (!isParent) revert WrongParent(parentId, digest);
    }

    function _requireInTurn(uint256 turn) private view returns (address owner, uint64 setId) {
        bool isCaller;
        (owner, setId, isCaller) = staking.inTurn(turn, msg.sender);
        if (!isCaller) revert NotInTurn(owner, msg.sender);
    }

    function _requireInTime(Head memory head) private view {
        uint256 expiresAt = uint256(head.openedAt) + _attemptTimeoutSeconds;
        if (block.timestamp >= expiresAt) revert AttemptTimedOut(expiresAt);
    }

    function _requireProposed(Leaves.Epoch calldata epoch, uint32 receiptCount, bytes32 bundleDigest) private view {
        bytes32 given = keccak256(
            abi.encode(
                Leaves.PROPOSAL_TYPEHASH,
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
        );
        if (given != _proposalDigest) revert ProposalMismatch(_proposalDigest, given);
    }
}
