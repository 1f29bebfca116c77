// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAttributionLedger} from "../interfaces/IAttributionLedger.sol";
import {IEpochDisputes} from "../interfaces/IEpochDisputes.sol";
import {IStaking} from "../interfaces/IStaking.sol";
import {Leaves} from "../libraries/Leaves.sol";
import {MerkleTree} from "../libraries/MerkleTree.sol";
import {Neighbours} from "../libraries/Neighbours.sol";
import {Ppm} from "../libraries/Ppm.sol";
import {Votes} from "../libraries/Votes.sol";
import {ProviderSignatures} from "./ProviderSignatures.sol";

/// @title The court, see {IEpochDisputes}: what ends in a slash or a void epoch comes through here
/// @dev The proofs about an epoch's leaves stand in four contracts of their own, named at deployment, because one would
/// exceed EIP-170; this one is the only address that ledger and staking know. State is written before any call out,
/// except that {condemn} asks the ledger first, which calls nobody.
contract EpochDisputes is IEpochDisputes, ProviderSignatures {
    using Leaves for *;

    /// @notice Parts of a bond that a proof takes, in ppm.
    /// @param equivocation For two signatures that exclude each other.
    /// @param invalidEpoch For proposing or signing a void epoch.
    struct Slashes {
        uint32 equivocation;
        uint32 invalidEpoch;
    }

    /// @notice Gas that an answer with a full chunk takes, rounded up: what a request prepays at the base fee.
    uint256 public constant ANSWER_GAS = 300_000;

    /// @notice The ledger whose epochs are judged.
    IAttributionLedger public immutable ledger;

    /// @notice The contracts of proofs.
    address public immutable receiptProofs;
    address public immutable laneProofs;
    address public immutable payoutProofs;
    address public immutable attributionProofs;

    /// @notice Part of a bond that an equivocation costs, in ppm.
    uint32 public immutable equivocationSlashPpm;

    /// @notice Part of a bond that a void epoch costs its proposer and each signer, in ppm.
    uint32 public immutable invalidEpochSlashPpm;

    /// @inheritdoc IEpochDisputes
    mapping(bytes32 entry => address) public challengerOf;

    /// @notice Native currency that an account may withdraw.
    mapping(address account => uint256) public owedTo;

    mapping(bytes32 entry => mapping(uint256 index => Request)) private _requests;

    /// @param proofs ReceiptProofs, LaneProofs, PayoutProofs, AttributionProofs.
    constructor(
        IAttributionLedger ledger_,
        address escrow_,
        IStaking staking_,
        address[4] memory proofs,
        Slashes memory slashes
    ) ProviderSignatures(escrow_, address(ledger_), staking_) {
        if (address(ledger_) == address(0) || escrow_ == address(0) || address(staking_) == address(0)) {
            revert ZeroAddress();
        }
        if (slashes.equivocation == 0 || slashes.equivocation > Ppm.WHOLE) {
            revert ParameterOutOfBounds("equivocationSlashPpm", slashes.equivocation);
        }
        if (slashes.invalidEpoch == 0 || slashes.invalidEpoch > Ppm.WHOLE) {
            revert ParameterOutOfBounds("invalidEpochSlashPpm", slashes.invalidEpoch);
        }
        ledger = ledger_;
        (receiptProofs, laneProofs, payoutProofs, attributionProofs) = (proofs[0], proofs[1], proofs[2], proofs[3]);
        equivocationSlashPpm = slashes.equivocation;
        invalidEpochSlashPpm = slashes.invalidEpoch;
    }

    /// @inheritdoc IEpochDisputes
    function proveTwoReceipts(
        Leaves.Receipt calldata one,
        bytes calldata oneSignature,
        Leaves.Receipt calldata other,
        bytes calldata otherSignature
    ) external {
        if (one.laneId != other.laneId || one.sequence != other.sequence || one.provider != other.provider) {
            revert NoFault("two receipts");
        }
        (bytes32 oneHash, bytes32 otherHash) = (one.hash(), other.hash());
        if (oneHash == otherHash) revert NoFault("two receipts");
        if (!_isByProvider(one.provider, oneHash, oneSignature)) revert DoesNotHold("first signature");
        if (!_isByProvider(one.provider, otherHash, otherSignature)) revert DoesNotHold("second signature");
        bytes32 evidenceId = keccak256(abi.encode("two receipts", one.provider, one.laneId, one.sequence));
        _slashEquivocator(one.provider, IStaking.Role.Provider, evidenceId);
    }

    /// @inheritdoc IEpochDisputes
    function proveTwoAttributions(
        Leaves.Attribution calldata one,
        bytes calldata oneSignature,
        Leaves.Attribution calldata other,
        bytes calldata otherSignature
    ) external {
        if (one.receiptDigest != other.receiptDigest || one.provider != other.provider) {
            revert NoFault("two attributions");
        }
        (bytes32 oneHash, bytes32 otherHash) = (one.hash(), other.hash());
        if (oneHash == otherHash) revert NoFault("two attributions");
        if (!_isByProvider(one.provider, oneHash, oneSignature)) revert DoesNotHold("first signature");
        if (!_isByProvider(one.provider, otherHash, otherSignature)) revert DoesNotHold("second signature");
        bytes32 evidenceId = keccak256(abi.encode("two attributions", one.provider, one.receiptDigest));
        _slashEquivocator(one.provider, IStaking.Role.Provider, evidenceId);
    }

    /// @inheritdoc IEpochDisputes
    function proveTwoEpochs(
        Leaves.Epoch calldata one,
        bytes calldata oneSignature,
        Leaves.Epoch calldata other,
        bytes calldata otherSignature
    ) external {
        if (one.epochId != other.epochId || one.attempt != other.attempt) revert NoFault("two epochs");
        (bytes32 oneHash, bytes32 otherHash) = (one.hash(), other.hash());
        if (oneHash == otherHash) revert NoFault("two epochs");
        address key = _ledgerSigner(oneHash, oneSignature);
        if (_ledgerSigner(otherHash, otherSignature) != key) revert DoesNotHold("second signature");
        IStaking.Key memory registered = staking.keyOf(key);
        if (registered.role != IStaking.Role.Validator) revert DoesNotHold("first signature");
        bytes32 evidenceId = keccak256(abi.encode("two epochs", registered.owner, one.epochId, one.attempt));
        _slashEquivocator(registered.owner, IStaking.Role.Validator, evidenceId);
    }

    /// @inheritdoc IEpochDisputes
    function condemn(
        IAttributionLedger.CommittedEpoch calldata committed,
        bytes32 fault,
        address challenger
    ) external {
        if (
            msg.sender != receiptProofs &&
            msg.sender != laneProofs &&
            msg.sender != payoutProofs &&
            msg.sender != attributionProofs
        ) revert OnlyProofs(msg.sender);
        _condemn(committed, fault, challenger);
    }

    /// @inheritdoc IEpochDisputes
    function slashSigners(
        bytes32 epochDigest,
        uint64 committedAt,
        address proposer,
        uint256[] calldata votes,
        uint256[] calldata places
    ) external {
        bytes32 entry = _entry(epochDigest, committedAt, keccak256(abi.encode(proposer, votes)));
        address challenger = challengerOf[entry];
        if (challenger == address(0)) revert NotDisproved(entry);
        for (uint256 i = 0; i < places.length; ++i) {
            uint256 place = places[i];
            if (place > votes.length) revert NoSuchSigner(place);
            address owner = place == 0 ? proposer : staking.ownerOfKey(Votes.keyOf(votes[place - 1]));
            bytes32 evidenceId = keccak256(abi.encode("void epoch", entry, owner));
            staking.slash(owner, IStaking.Role.Validator, invalidEpochSlashPpm, evidenceId, challenger);
        }
    }

    /// @inheritdoc IEpochDisputes
    function requestChunk(IAttributionLedger.CommittedEpoch calldata committed, uint256 index) external payable {
        (bool known, bool isFinal) = ledger.statusOf(committed);
        if (!known || isFinal) revert NotPending(committed.epoch.epochId);
        uint64 windowSeconds = ledger.parameters().windowSeconds;
        uint256 lastAt = uint256(committed.committedAt) + windowSeconds / 2;
        if (block.timestamp >= lastAt) revert RequestTooLate(lastAt);
        if (msg.value < prepaidNeeded() || msg.value > type(uint128).max) {
            revert PrepaidTooLittle(msg.value, prepaidNeeded());
        }
        bytes32 entry = entryOf(committed);
        if (_requests[entry][index].requester != address(0)) revert RequestExists(entry, index);
        _requests[entry][index] = Request(msg.sender, uint64(block.timestamp), false, uint128(msg.value));
        uint64 answerBy = uint64(block.timestamp) + windowSeconds / 4;
        emit ChunkRequested(committed.epoch.epochId, entry, index, msg.sender, answerBy);
    }

    /// @inheritdoc IEpochDisputes
    function answerChunk(
        IAttributionLedger.CommittedEpoch calldata committed,
        uint256 index,
        bytes calldata chunk,
        bytes32[] calldata proof
    ) external {
        if (!MerkleTree.verify(committed.epoch.chunksRoot, keccak256(chunk), index, proof)) revert DoesNotHold("chunk");
        _answer(committed, index, true);
    }

    /// @inheritdoc IEpochDisputes
    function answerBeyondEnd(
        IAttributionLedger.CommittedEpoch calldata committed,
        uint256 index,
        uint256 lastIndex,
        bytes32 lastChunkHash,
        bytes32[] calldata proof
    ) external {
        if (!MerkleTree.verify(committed.epoch.chunksRoot, lastChunkHash, lastIndex, proof)) {
            revert DoesNotHold("chunk");
        }
        if (index <= lastIndex || !Neighbours.isLast(lastIndex, proof)) revert DoesNotHold("end");
        _answer(committed, index, false);
    }

    /// @inheritdoc IEpochDisputes
    function proveUnanswered(IAttributionLedger.CommittedEpoch calldata committed, uint256 index) external {
        bytes32 entry = entryOf(committed);
        Request memory asked = _openRequest(entry, index);
        uint256 answerBy = _answerBy(asked);
        if (block.timestamp < answerBy) revert AnswerStillDue(answerBy);
        _requests[entry][index].isAnswered = true;
        owedTo[asked.requester] += asked.prepaidWei;
        _condemn(committed, "chunk withheld", asked.requester);
    }

    /// @inheritdoc IEpochDisputes
    function withdraw() external returns (uint256 amountWei) {
        amountWei = owedTo[msg.sender];
        if (amountWei == 0) revert NothingToWithdraw(msg.sender);
        owedTo[msg.sender] = 0;
        emit Withdrawn(msg.sender, amountWei);
        (bool sent, ) = msg.sender.call{value: amountWei}("");
        if (!sent) revert TransferFailed(msg.sender);
    }

    /// @inheritdoc IEpochDisputes
    function requestOf(bytes32 entry, uint256 index) external view returns (Request memory) {
        return _requests[entry][index];
    }

    /// @inheritdoc IEpochDisputes
    function prepaidNeeded() public view returns (uint256) {
        return ANSWER_GAS * block.basefee;
    }

    /// @inheritdoc IEpochDisputes
    function entryOf(IAttributionLedger.CommittedEpoch calldata committed) public pure returns (bytes32) {
        return _entry(committed.epoch.hash(), committed.committedAt, committed.signersDigest);
    }

    /// @dev The ledger reverts for an epoch that it does not hold, and for a final one; so each is condemned once.
    function _condemn(
        IAttributionLedger.CommittedEpoch calldata committed,
        bytes32 fault,
        address challenger
    ) private {
        ledger.invalidate(committed);
        bytes32 entry = entryOf(committed);
        challengerOf[entry] = challenger;
        emit EpochDisproved(committed.epoch.epochId, entry, fault, challenger);
    }

    function _slashEquivocator(address owner, IStaking.Role role, bytes32 evidenceId) private {
        emit EquivocationProved(owner, evidenceId, msg.sender);
        staking.slash(owner, role, equivocationSlashPpm, evidenceId, msg.sender);
    }

    function _answer(IAttributionLedger.CommittedEpoch calldata committed, uint256 index, bool exists) private {
        bytes32 entry = entryOf(committed);
        Request memory asked = _openRequest(entry, index);
        uint256 answerBy = _answerBy(asked);
        if (block.timestamp >= answerBy) revert AnswerTooLate(answerBy);
        _requests[entry][index].isAnswered = true;
        owedTo[msg.sender] += asked.prepaidWei;
        emit ChunkAnswered(entry, index, msg.sender, exists);
    }

    function _openRequest(bytes32 entry, uint256 index) private view returns (Request memory asked) {
        asked = _requests[entry][index];
        if (asked.requester == address(0) || asked.isAnswered) revert NoRequest(entry, index);
    }

    function _answerBy(Request memory asked) private view returns (uint256) {
        return uint256(asked.requestedAt) + ledger.parameters().windowSeconds / 4;
    }

    function _entry(bytes32 epochDigest, uint64 committedAt, bytes32 signersDigest) private pure returns (bytes32) {
        return keccak256(abi.encode(epochDigest, committedAt, signersDigest));
    }
}
