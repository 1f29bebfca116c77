// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAttributionLedger} from "./IAttributionLedger.sol";
import {Leaves} from "../libraries/Leaves.sol";

/// @title The court of arithmetic: who proves a fault voids the epoch and is paid from the bonds behind it
/// @notice Every proof is one transaction without an answer. A fault of a pending epoch voids it and all after it at
/// once; {slashSigners} then cuts the bonds of its proposer and of those who signed it. Two signatures that exclude
/// each other cut their signer's bond in the same transaction. Half of what is cut goes to the first who proved, as a
/// credit in Staking; the rest is burned. Copying somebody's proof out of the mempool wins its reward but not its
/// purpose: the fault is dead either way, and who copies cannot earn without killing it. A commit-reveal would cost
/// every honest challenger one more transaction inside the window, so there is none.
interface IEpochDisputes {
    /// @notice A chunk of an epoch's public bundle that somebody asked for.
    struct Request {
        address requester;
        uint64 requestedAt;
        bool isAnswered;
        uint128 prepaidWei;
    }

    /// @notice An epoch is void; `fault` names what was proved.
    event EpochDisproved(uint64 indexed epochId, bytes32 indexed entry, bytes32 indexed fault, address challenger);
    /// @notice Two signatures that exclude each other were shown.
    event EquivocationProved(address indexed owner, bytes32 indexed evidenceId, address challenger);
    /// @notice Somebody prepaid for a chunk and awaits it until `answerBy`.
    event ChunkRequested(uint64 indexed epochId, bytes32 indexed entry, uint256 index, address requester, uint64 answerBy);
    /// @notice The chunk stands in this transaction's calldata, or is shown not to exist.
    event ChunkAnswered(bytes32 indexed entry, uint256 index, address by, bool exists);
    /// @notice Prepaid native currency left.
    event Withdrawn(address indexed account, uint256 amountWei);

    /// @notice A constructor argument is out of its bounds.
    error ParameterOutOfBounds(bytes32 name, uint256 value);
    error ZeroAddress();
    /// @notice Only a contract of proofs that was named at deployment.
    error OnlyProofs(address caller);
    /// @notice A step of the evidence does not hold.
    error DoesNotHold(bytes32 step);
    /// @notice The evidence holds, and shows no fault.
    error NoFault(bytes32 fault);
    /// @notice What the evidence rests on changed at `since`, too late to hold this epoch against it.
    error FactChanged(bytes32 fact, uint64 since);
    /// @notice No fault of this epoch has been proved.
    error NotDisproved(bytes32 entry);
    /// @notice Nobody signed at this place.
    error NoSuchSigner(uint256 place);
    /// @notice The epoch is not known to the ledger, or final.
    error NotPending(uint64 epochId);
    error RequestTooLate(uint256 lastAt);
    error RequestExists(bytes32 entry, uint256 index);
    error NoRequest(bytes32 entry, uint256 index);
    error PrepaidTooLittle(uint256 given, uint256 needed);
    error AnswerTooLate(uint256 answerBy);
    error AnswerStillDue(uint256 answerBy);
    error NothingToWithdraw(address account);
    /// @notice The account does not take what it is owed.
    error TransferFailed(address account);

    /// @notice Slashes a provider that signed two receipts of one sequence in one lane.
    function proveTwoReceipts(
        Leaves.Receipt calldata one,
        bytes calldata oneSignature,
        Leaves.Receipt calldata other,
        bytes calldata otherSignature
    ) external;

    /// @notice Slashes a provider that signed two attributions of one receipt.
    function proveTwoAttributions(
        Leaves.Attribution calldata one,
        bytes calldata oneSignature,
        Leaves.Attribution calldata other,
        bytes calldata otherSignature
    ) external;

    /// @notice Slashes a validator whose key signed two epochs of one id and attempt.
    function proveTwoEpochs(
        Leaves.Epoch calldata one,
        bytes calldata oneSignature,
        Leaves.Epoch calldata other,
        bytes calldata otherSignature
    ) external;

    /// @notice Voids an epoch; only the contracts of proofs.
    function condemn(
        IAttributionLedger.CommittedEpoch calldata committed,
        bytes32 fault,
        address challenger
    ) external;

    /// @notice Cuts bonds behind a voided epoch; anyone may, each bond once.
    /// @param proposer As emitted by EpochCommitted.
    /// @param votes As emitted by EpochCommitted.
    /// @param places Whom: 0 the proposer, i the owner of vote i - 1.
    function slashSigners(
        bytes32 epochDigest,
        uint64 committedAt,
        address proposer,
        uint256[] calldata votes,
        uint256[] calldata places
    ) external;

    /// @notice Asks for a 4 KiB chunk of a pending epoch's public bundle; in the first half of its window. What is
    /// sent along is for whoever answers, and at least {prepaidNeeded}.
    function requestChunk(IAttributionLedger.CommittedEpoch calldata committed, uint256 index) external payable;

    /// @notice Shows a requested chunk; anyone.
    function answerChunk(
        IAttributionLedger.CommittedEpoch calldata committed,
        uint256 index,
        bytes calldata chunk,
        bytes32[] calldata proof
    ) external;

    /// @notice Shows that the bundle ends before the requested chunk: `lastChunkHash` stands at `lastIndex`, nothing after.
    function answerBeyondEnd(
        IAttributionLedger.CommittedEpoch calldata committed,
        uint256 index,
        uint256 lastIndex,
        bytes32 lastChunkHash,
        bytes32[] calldata proof
    ) external;

    /// @notice Voids an epoch whose requested chunk nobody showed in time; anyone, for the requester.
    function proveUnanswered(IAttributionLedger.CommittedEpoch calldata committed, uint256 index) external;

    /// @notice Pays the caller its prepaid native currency: for answers given, or for requests never answered.
    function withdraw() external returns (uint256 amountWei);

    /// @notice What a request must prepay now, in wei of the chain's native currency.
    function prepaidNeeded() external view returns (uint256);

    /// @notice Who proved a fault of the epoch with this ring entry; zero: nobody.
    function challengerOf(bytes32 entry) external view returns (address);

    /// @notice keccak256(abi.encode(epoch digest, committedAt, signersDigest)), as the ledger's ring holds it.
    function entryOf(IAttributionLedger.CommittedEpoch calldata committed) external pure returns (bytes32);

    /// @notice A request for a chunk.
    function requestOf(bytes32 entry, uint256 index) external view returns (Request memory);
}
