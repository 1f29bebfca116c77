// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Leaves} from "../libraries/Leaves.sol";
import {Neighbours} from "../libraries/Neighbours.sol";
import {SumTree} from "../libraries/SumTree.sol";

/// @title Epochs: proposed, sealed, committed by a quorum, final by time alone; and who is paid from them
/// @notice Payouts are cumulative Merkle-sum trees, so the newest final epoch pays everything, lost epochs heal, and
/// no set of claims exceeds a committed total. An epoch keeps one storage slot, an account one.
interface IAttributionLedger {
    /// @notice Idle -> Proposed -> Sealed -> (committed) Idle.
    enum Phase {
        Idle,
        Proposed,
        Sealed
    }

    /// @notice A committed epoch as every call carries it; its keccak stands in the ring.
    struct CommittedEpoch {
        Leaves.Epoch epoch;
        uint64 committedAt;
        /// @notice keccak(abi.encode(proposer, votes)), both as emitted by {EpochCommitted}.
        bytes32 signersDigest;
    }

    /// @notice The attempt in progress, or the next one.
    struct Attempt {
        uint64 epochId;
        /// @notice Idle: the lowest attempt number that may be proposed; else the one in progress.
        uint32 attempt;
        Phase phase;
        /// @notice Idle: when `attempt` may be proposed; else when it was.
        uint64 openedAt;
        address proposer;
        uint64 validatorSetId;
        uint64 proposedInBlock;
        bytes32 proposalDigest;
        bytes32 sealedHash;
    }

    /// @notice Time and size of everything here; PROTOCOL.md §10.
    struct Parameters {
        /// @notice Least seconds from a commit to the next proposal.
        uint64 minimumEpochSeconds;
        /// @notice Seconds from a commit to its finality.
        uint64 windowSeconds;
        /// @notice Seconds that an attempt may take.
        uint64 attemptTimeoutSeconds;
        /// @notice How many committed epochs are remembered.
        uint32 ringSize;
        /// @notice Part of the proposer's bond that an expired attempt costs.
        uint32 expirySlashPpm;
        /// @notice R: epochs after which a closed lane's uncovered credit, and receipts of a revoked version, go back to
        /// their users.
        uint32 refundAfterEpochs;
    }

    /// @notice One account's leaf in a payout tree, with its proof.
    struct Claim {
        address account;
        uint128 cumulative;
        uint256 index;
        SumTree.Node[] proof;
    }

    /// @notice Inputs were frozen.
    event EpochProposed(
        uint64 indexed epochId,
        uint32 indexed attempt,
        address indexed proposer,
        uint64 validatorSetId,
        bytes32 proposalDigest,
        Leaves.Proposal proposal
    );
    /// @notice The hash of the block after the proposal was fixed.
    event EpochSealed(uint64 indexed epochId, uint32 indexed attempt, bytes32 sealedHash);
    /// @notice An attempt ran out of time.
    event AttemptExpired(uint64 indexed epochId, uint32 indexed attempt, address indexed proposer);
    /// @notice The guardian's pause ended an attempt; nobody is slashed for it.
    event AttemptPaused(uint64 indexed epochId, uint32 indexed attempt);
    /// @notice A quorum signed; the epoch is final `windowSeconds` after `committedAt`.
    event EpochCommitted(
        uint64 indexed epochId,
        uint32 indexed attempt,
        bytes32 epochDigest,
        Leaves.Epoch epoch,
        uint64 committedAt,
        address proposer,
        uint256[] votes
    );
    /// @notice A pending epoch and all after it are void; the id is committed again as `nextAttempt` or later.
    event EpochInvalidated(uint64 indexed epochId, uint64 latestEpochId, uint32 nextAttempt);
    /// @notice Redeemed credit came in.
    event Funded(bytes32 indexed laneId, uint128 amount, uint128 funded);
    /// @notice An account chose where its payouts go; zero: to itself.
    event PayeeSet(address indexed account, address indexed payee);
    /// @notice A payout left to `to`: the account, or its payee.
    event Claimed(address indexed account, address indexed to, uint128 amount, uint128 cumulative);
    /// @notice A payout was credited, to be withdrawn.
    event Credited(address indexed account, uint128 amount, uint128 cumulative);
    /// @notice Credit left to `to`: the account, or its payee.
    event CreditWithdrawn(address indexed account, address indexed to, uint128 amount);
    /// @notice Redeemed credit that no epoch covered before the ledger ended went back to the lane's user.
    event UncoveredReturned(bytes32 indexed laneId, address indexed user, address indexed to, uint128 amount);

    /// @notice A constructor argument is out of its bounds.
    error ParameterOutOfBounds(bytes32 name, uint256 value);
    /// @notice A contract of the suite does not name this ledger as its own.
    error WrongWiring(address part);
    error ZeroAddress();
    error WrongEpoch(uint64 expected, uint64 given);
    /// @notice Attempt numbers only grow.
    error WrongAttempt(uint32 lowest, uint32 given);
    error TooEarly(uint256 notBefore);
    /// @notice The ring does not hold the named parent at the place of the last committed epoch.
    error WrongParent(uint64 parentId, bytes32 given);
    /// @notice Neither the validator in turn nor its voting key.
    error NotInTurn(address expected, address given);
    error WrongPhase(Phase phase);
    error SealTooEarly(uint256 firstBlock);
    /// @notice The chain no longer knows the hash; the attempt cannot be sealed.
    error SealTooLate(uint256 lastBlock);
    error AttemptTimedOut(uint256 expiredAt);
    error AttemptNotExpired(uint256 expiresAt);
    error WrongValidatorSet(uint64 expected, uint64 given);
    /// @notice The epoch's inputs are not those that were proposed.
    error ProposalMismatch(bytes32 expected, bytes32 given);
    error Overcommitted(uint128 total, uint128 funded);
    /// @notice The ring does not hold this epoch, committed then, by these signers.
    error UnknownEpoch(uint64 epochId);
    error EpochNotFinal(uint256 finalAt);
    error EpochFinal(uint256 finalAt);
    error InvalidProof();
    /// @notice No epoch was committed for {TERMINAL_SECONDS}: nothing is proposed or committed any more.
    error LedgerIsTerminal(uint256 since);
    /// @notice The ledger goes on: uncovered credit is refunded by its epochs.
    error LedgerNotTerminal(uint256 terminalAt);
    /// @notice Only the last committed epoch says what is covered.
    error NotLastEpoch(uint64 lastEpochId, uint64 given);
    /// @notice The lane table's proof does not show where this lane stands.
    error WrongLaneProof(bytes32 laneId);
    /// @notice All that was redeemed on this lane is covered, refunded or returned.
    error NothingUncovered(bytes32 laneId);
    error PayoutsMismatch(bytes32 root, uint128 total);
    error NothingToWithdraw(address account);
    /// @notice Half of uint128 waits for this account: withdraw it first.
    error CreditTooLarge(address account, uint256 credit);
    error OnlyEscrow(address caller);
    error OnlyDisputes(address caller);

    /// @notice Freezes the inputs of the next epoch. The caller is validators[(id + attempt) mod count], or its key.
    /// @dev Attempt n + k opens k timeouts after attempt n; it ends an expired attempt, whose proposer pays for it.
    /// @param parentCommittedAt When the epoch that the proposal names as its parent was committed; any before the first.
    /// @param parentSignersDigest Its {CommittedEpoch-signersDigest}; any before the first.
    function proposeEpoch(
        Leaves.Proposal calldata proposal,
        uint64 parentCommittedAt,
        bytes32 parentSignersDigest
    ) external;

    /// @notice Fixes the hash of the block after the proposal; anyone, 2 to 256 blocks after it.
    function seal() external returns (bytes32 sealedHash);

    /// @notice Ends an attempt that is out of time; anyone. A slice of its proposer's bond is burned.
    function expireAttempt() external;

    /// @notice Commits what a quorum of the proposal's validator set signed; anyone.
    /// @param epoch Its inputs equal the proposal's.
    /// @param receiptCount The proposal's.
    /// @param bundleDigest The proposal's.
    /// @param signatures Evidence for the {IQuorum}.
    function commitEpoch(
        Leaves.Epoch calldata epoch,
        uint32 receiptCount,
        bytes32 bundleDigest,
        bytes calldata signatures
    ) external;

    /// @notice Voids a pending epoch and all after it; only disputes.
    function invalidate(CommittedEpoch calldata committed) external;

    /// @notice Notes credit that a voucher moved here; only the escrow, which has just sent it.
    function fund(bytes32 laneId, uint128 amountWei) external;

    /// @notice Sends the caller's future payouts to `payee`; zero: to itself.
    function setPayee(address payee) external;

    /// @notice Pays what a final epoch owes `account`, to it or its payee; anyone. Nothing owed: nothing happens.
    /// @param cumulative The account's leaf in the epoch's payout tree, at `index`, proven by `proof`.
    /// @return amount Wei paid.
    function claim(
        CommittedEpoch calldata committed,
        address account,
        uint128 cumulative,
        uint256 index,
        SumTree.Node[] calldata proof
    ) external returns (uint128 amount);

    /// @notice {claim} for several accounts of one epoch.
    /// @return amount Wei paid to all of them.
    function claimMany(CommittedEpoch calldata committed, Claim[] calldata claims) external returns (uint128 amount);

    /// @notice Credits everybody in a final epoch's payout tree, rebuilt whole; anyone. The cheapest way a payee.
    /// @param payouts All leaves in order.
    /// @return amount Wei credited.
    function settle(
        CommittedEpoch calldata committed,
        SumTree.Payout[] calldata payouts
    ) external returns (uint128 amount);

    /// @notice Pays `account`, or its payee, what {settle} credited it; anyone.
    function withdrawCredit(address account) external returns (uint128 amount);

    /// @notice In a terminal ledger: returns to a lane's user what was redeemed and no epoch covered; anyone.
    /// @param last The last committed epoch; not looked at if there is none.
    /// @param row Where the lane stands in that epoch's table, at `index`, proven by `proof`.
    function returnUncovered(
        CommittedEpoch calldata last,
        Leaves.LaneRow calldata row,
        uint256 index,
        bytes32[] calldata proof
    ) external returns (uint128 amount);

    /// @notice The same for a lane that the last epoch's table does not list.
    /// @param gap Where it would stand: right of `left` and left of `right`, as far as `gap` has them.
    function returnUnlisted(
        CommittedEpoch calldata last,
        bytes32 laneId,
        Leaves.LaneRow calldata left,
        Leaves.LaneRow calldata right,
        Neighbours.Gap calldata gap
    ) external returns (uint128 amount);

    /// @notice Whether a committed epoch holds this receipt, and whether that can no longer change.
    function verifyReceipt(
        CommittedEpoch calldata committed,
        Leaves.ReceiptLeaf calldata leaf,
        uint256 index,
        bytes32[] calldata proof
    ) external view returns (bool known, bool isFinal);

    /// @notice Whether the ring holds this epoch, and whether it is final.
    function statusOf(CommittedEpoch calldata committed) external view returns (bool known, bool isFinal);

    /// @notice The last committed epoch, pending or final, and its {entryOf}; (0, 0) before the first.
    function latestEpoch() external view returns (uint64 epochId, bytes32 entry);

    /// @notice keccak(abi.encode(epoch digest, committedAt, signersDigest)) of an epoch in the ring; zero if not there.
    function entryOf(uint64 epochId) external view returns (bytes32);

    /// @notice The attempt in progress, or the next one.
    function currentAttempt() external view returns (Attempt memory);

    /// @notice From then on nothing is proposed or committed, unless an epoch is committed before. Claims go on.
    function terminalAt() external view returns (uint64);

    /// @notice Seconds without a commit that end the ledger.
    function TERMINAL_SECONDS() external view returns (uint64);

    /// @notice What was returned to a lane's user after the ledger's end.
    function returnedOf(bytes32 laneId) external view returns (uint128);

    /// @notice EIP-712 digest that a validator key signs.
    function epochSigningDigest(Leaves.Epoch calldata epoch) external view returns (bytes32);

    /// @notice All credit that ever came in.
    function funded() external view returns (uint128);

    /// @notice What `account` was paid or credited so far, and what of it waits to be withdrawn.
    function accountOf(address account) external view returns (uint128 claimed, uint128 credit);

    /// @notice Where payouts of `account` go.
    function payeeOf(address account) external view returns (address);

    /// @notice Time and size of everything here.
    function parameters() external view returns (Parameters memory);
}
