// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {GuardianPause} from "../governance/GuardianPause.sol";
import {Succession} from "../governance/Succession.sol";
import {IAttributionLedger} from "../interfaces/IAttributionLedger.sol";
import {ICreditEscrow} from "../interfaces/ICreditEscrow.sol";
import {IQuorum} from "../interfaces/IQuorum.sol";
import {IStaking} from "../interfaces/IStaking.sol";
import {Leaves} from "../libraries/Leaves.sol";
import {Ppm} from "../libraries/Ppm.sol";

/// @title What the ledger remembers of its epochs, and how it is read
/// @dev One slot an epoch: keccak(epoch digest, committedAt, signersDigest). Whoever needs an epoch brings it along, and
/// so its digest is not stored a second time.
abstract contract EpochState is IAttributionLedger, EIP712, GuardianPause, Succession {
    using Leaves for *;

    /// @dev One slot. `attempt` and `openedAt` as in {Attempt}. After an invalidation, all ids go on at `floor`, above
    /// every attempt that was ever proposed, so that no honest validator signs one (id, attempt) twice.
    struct Head {
        uint32 latestEpochId;
        uint40 openedAt;
        uint40 lastCommittedAt;
        uint40 pausedUntil;
        uint32 attempt;
        uint32 highestAttempt;
        uint32 floor;
        Phase phase;
    }

    /// @dev Who proposed the attempt in progress, by which set, in which block. One slot.
    struct Turn {
        address proposer;
        uint48 validatorSetId;
        uint48 proposedInBlock;
    }

    /// @inheritdoc IAttributionLedger
    uint64 public constant TERMINAL_SECONDS = 30 days;

    /// @notice The longest window that a deployment may choose: everything pending is final before the ledger ends.
    uint64 public constant MAX_WINDOW_SECONDS = 14 days;

    /// @notice Where vouchers are redeemed, and whose domain receipts are signed under.
    ICreditEscrow public immutable escrow;

    /// @notice Who proposes, who votes, who is slashed for an expired attempt.
    IStaking public immutable staking;

    /// @notice How votes are counted.
    IQuorum public immutable quorum;

    /// @notice Who may invalidate; zero: nobody.
    address public immutable disputes;

    uint64 internal immutable _minimumEpochSeconds;
    uint64 internal immutable _windowSeconds;
    uint64 internal immutable _attemptTimeoutSeconds;
    uint32 internal immutable _ringSize;
    uint32 internal immutable _expirySlashPpm;
    uint32 internal immutable _refundAfterEpochs;

    Head internal _head;
    Turn internal _turn;
    bytes32 internal _proposalDigest;
    bytes32 internal _sealedHash;
    mapping(uint256 place => bytes32 entry) internal _ring;

    /// @inheritdoc IAttributionLedger
    uint128 public funded;

    constructor(
        address access,
        ICreditEscrow escrow_,
        IStaking staking_,
        IQuorum quorum_,
        address disputes_,
        Parameters memory given
    ) EIP712("Headwater AttributionLedger", "1") AccessManaged(access) {
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
        (escrow, staking, quorum, disputes) = (escrow_, staking_, quorum_, disputes_);
        _minimumEpochSeconds = given.minimumEpochSeconds;
        _windowSeconds = given.windowSeconds;
        _attemptTimeoutSeconds = given.attemptTimeoutSeconds;
        _ringSize = given.ringSize;
        _expirySlashPpm = given.expirySlashPpm;
        _refundAfterEpochs = given.refundAfterEpochs;
        _head.openedAt = uint40(block.timestamp);
        _head.lastCommittedAt = uint40(block.timestamp);
    }

    /// @inheritdoc IAttributionLedger
    function statusOf(CommittedEpoch calldata committed) public view returns (bool known, bool isFinal) {
        uint64 epochId = committed.epoch.epochId;
        if (epochId == 0 || epochId > _head.latestEpochId) return (false, false);
        known = _isInRing(epochId, committed.epoch.hash(), committed.committedAt, committed.signersDigest);
        isFinal = known && block.timestamp >= _finalAt(committed);
    }

    /// @inheritdoc IAttributionLedger
    function latestEpoch() external view returns (uint64 epochId, bytes32 entry) {
        epochId = _head.latestEpochId;
        if (epochId != 0) entry = _ring[epochId % _ringSize];
    }

    /// @inheritdoc IAttributionLedger
    function entryOf(uint64 epochId) external view returns (bytes32) {
        uint64 latest = _head.latestEpochId;
        if (epochId == 0 || epochId > latest || latest - epochId >= _ringSize) return 0;
        return _ring[epochId % _ringSize];
    }

    /// @inheritdoc IAttributionLedger
    function currentAttempt() external view returns (Attempt memory attempt) {
        Head memory head = _head;
        attempt.epochId = _nextId(head);
        attempt.attempt = head.attempt;
        attempt.phase = head.phase;
        attempt.openedAt = head.openedAt;
        if (head.phase == Phase.Idle) return attempt;
        attempt.proposer = _turn.proposer;
        attempt.validatorSetId = _turn.validatorSetId;
        attempt.proposedInBlock = _turn.proposedInBlock;
        attempt.proposalDigest = _proposalDigest;
        if (head.phase == Phase.Sealed) attempt.sealedHash = _sealedHash;
    }

    /// @inheritdoc IAttributionLedger
    function terminalAt() public view returns (uint64) {
        return _head.lastCommittedAt + TERMINAL_SECONDS;
    }

    /// @inheritdoc IAttributionLedger
    function epochSigningDigest(Leaves.Epoch calldata epoch) external view returns (bytes32) {
        return _hashTypedDataV4(epoch.hash());
    }

    /// @inheritdoc IAttributionLedger
    function parameters() external view returns (Parameters memory) {
        return
            Parameters(
                _minimumEpochSeconds,
                _windowSeconds,
                _attemptTimeoutSeconds,
                _ringSize,
                _expirySlashPpm,
                _refundAfterEpochs
            );
    }

    function pausedUntil() public view override returns (uint64) {
        return _head.pausedUntil;
    }

    function _requireFinal(CommittedEpoch calldata committed) internal view {
        (bool known, bool isFinal) = statusOf(committed);
        if (!known) revert UnknownEpoch(committed.epoch.epochId);
        if (!isFinal) revert EpochNotFinal(_finalAt(committed));
    }

    function _isInRing(
        uint64 epochId,
        bytes32 digest,
        uint64 committedAt,
        bytes32 signersDigest
    ) internal view returns (bool) {
        return _ring[epochId % _ringSize] == _entry(digest, committedAt, signersDigest);
    }

    function _finalAt(CommittedEpoch calldata committed) internal view returns (uint256) {
        return uint256(committed.committedAt) + _windowSeconds;
    }

    function _requireNotTerminal(Head memory head) internal view {
        uint256 since = uint256(head.lastCommittedAt) + TERMINAL_SECONDS;
        if (block.timestamp >= since) revert LedgerIsTerminal(since);
    }

    function _nextId(Head memory head) internal pure returns (uint64) {
        return uint64(head.latestEpochId) + 1;
    }

    function _entry(bytes32 digest, uint64 committedAt, bytes32 signersDigest) internal pure returns (bytes32) {
        return keccak256(abi.encode(digest, committedAt, signersDigest));
    }

    function _requireBounds(Parameters memory given) private pure {
        uint64 epoch = given.minimumEpochSeconds;
        if (epoch == 0 || epoch > 7 days) revert ParameterOutOfBounds("minimumEpochSeconds", epoch);
        if (given.windowSeconds == 0 || given.windowSeconds > MAX_WINDOW_SECONDS) {
            revert ParameterOutOfBounds("windowSeconds", given.windowSeconds);
        }
        if (given.attemptTimeoutSeconds == 0 || given.attemptTimeoutSeconds >= epoch) {
            revert ParameterOutOfBounds("attemptTimeoutSeconds", given.attemptTimeoutSeconds);
        }
        uint256 leastRing = (uint256(given.windowSeconds) + epoch - 1) / epoch + 2;
        if (given.ringSize < leastRing) revert ParameterOutOfBounds("ringSize", given.ringSize);
        if (given.expirySlashPpm > Ppm.WHOLE) revert ParameterOutOfBounds("expirySlashPpm", given.expirySlashPpm);
        if (given.refundAfterEpochs == 0) revert ParameterOutOfBounds("refundAfterEpochs", 0);
    }
}
