// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAttributionLedger} from "./IAttributionLedger.sol";
import {SumTree} from "../libraries/SumTree.sol";

/// @title Who has put what at stake, which key speaks for whom, and with what weight
/// @notice Validators and providers bond credits and register hot keys. A registered key verifies for its owner for
/// ever: rotation only adds. Validators' weights are kept per set; a set's number grows with every change.
interface IStaking {
    /// @notice What a key or a bond is for. One account may hold both roles, each with its own bond and keys.
    enum Role {
        None,
        Validator,
        Provider
    }

    /// @notice Active -> Exiting -> Withdrawn; slashed below the least bond -> Removed (-> Exiting).
    enum Status {
        None,
        Active,
        Exiting,
        Withdrawn,
        Removed
    }

    /// @notice One account's bond in one role.
    struct Position {
        uint96 stake;
        uint64 exitAt;
        Status status;
    }

    /// @notice Ends of a validator key's two hash chains, fixed with the key: one for epochs, one for model versions.
    struct DrawAnchors {
        bytes32 epochDraw;
        bytes32 versionDraw;
    }

    /// @notice Whose key it is and what for.
    struct Key {
        address owner;
        Role role;
    }

    /// @notice A bond began.
    event Registered(address indexed owner, Role indexed role, uint96 stake);
    /// @notice A key now verifies for its owner; for validators it carries the owner's weight from now on.
    event KeyAdded(address indexed owner, Role indexed role, address indexed key, DrawAnchors anchors);
    /// @notice A bond grew.
    event StakeAdded(address indexed owner, Role indexed role, uint96 amount, uint96 stake);
    /// @notice A set began: from here on `key` weighs `weight`, all together `totalWeight`.
    event ValidatorSetChanged(uint64 indexed setId, address indexed key, uint96 weight, uint256 totalWeight);
    /// @notice A bond began to leave; it can be slashed until it is withdrawn, and withdrawn from `exitAt` on.
    event ExitRequested(address indexed owner, Role indexed role, uint64 exitAt);
    /// @notice A bond left.
    event Exited(address indexed owner, Role indexed role, uint96 amount);
    /// @notice A bond was cut; what the challenger does not get is kept here for ever, out of circulation.
    event Slashed(
        address indexed owner,
        Role indexed role,
        bytes32 indexed evidenceId,
        uint96 amount,
        address challenger,
        uint96 reward
    );
    /// @notice The validators' part of the epochs up to this one was credited to its signers.
    event RewardsDistributed(uint64 indexed epochId, uint128 amount, uint128 distributedCumulative);
    /// @notice Rewards were paid out.
    event CreditWithdrawn(address indexed account, uint128 amount);

    /// @notice A constructor argument is out of its bounds.
    error ParameterOutOfBounds(bytes32 name, uint256 value);
    error ZeroAddress();
    /// @notice The bond in this role is not in a state that allows it.
    error WrongStatus(address owner, Role role, Status status);
    error StakeBelowMinimum(uint256 stake, uint256 minimum);
    /// @notice The key is taken; keys are unique over all owners and roles.
    error KeyTaken(address key, address owner);
    /// @notice Hot key and owner must be two accounts.
    error KeyIsOwner(address owner);
    /// @notice A validator key needs both draw anchors.
    error ZeroDrawAnchor();
    error ExitTooEarly(uint256 exitAt);
    error UnknownValidatorSet(uint64 setId, uint64 currentSetId);
    /// @notice The key carries no weight in the set.
    error NotInValidatorSet(address key, uint64 setId);
    error NoValidators();
    error OnlyCourt(address caller);
    /// @notice This evidence has been used.
    error EvidenceUsed(bytes32 evidenceId);
    /// @notice The votes are not those that the epoch was committed with.
    error SignersMismatch(bytes32 expected, bytes32 given);
    /// @notice This epoch's part, or a later one's, is distributed already.
    error AlreadyDistributed(uint64 lastDistributed, uint64 epochId);
    error NothingToWithdraw(address account);

    /// @notice Bonds the caller as validator; the key votes from the next set on.
    /// @param key An EOA that only signs; not the caller.
    /// @param possession The key's signature over KeyRegistration(owner, key, role, both anchors).
    /// @param stakeWei At least the least stake; pulled from the caller.
    /// @param anchors Ends of the key's two hash chains.
    function registerValidator(
        address key,
        bytes calldata possession,
        uint96 stakeWei,
        DrawAnchors calldata anchors
    ) external;

    /// @notice Bonds the caller as provider; the key's receipts verify for the caller for ever.
    /// @param key An EOA that only signs; not the caller.
    /// @param possession The key's signature over KeyRegistration(owner, key, role, zero anchors).
    /// @param stakeWei At least the provider's bond; pulled from the caller.
    function registerProvider(address key, bytes calldata possession, uint96 stakeWei) external;

    /// @notice Adds a key. The validator's newest key carries its weight; older ones go on verifying as its own.
    /// @param anchors Zero for a provider.
    function addKey(Role role, address key, bytes calldata possession, DrawAnchors calldata anchors) external;

    /// @notice Adds to the caller's bond.
    function addStake(Role role, uint96 amountWei) external;

    /// @notice Starts the exit of the caller's bond. A validator leaves the set at once and stays slashable.
    function requestExit(Role role) external;

    /// @notice Pays the bond back once the exit delay is over.
    function exit(Role role) external;

    /// @notice Cuts a bond, rounding up; only a court (disputes, or the ledger for an expired attempt).
    /// @param sharePpm Part of the bond.
    /// @param evidenceId Each evidence slashes once.
    /// @param challenger Gets half, to withdraw; zero: nobody.
    /// @return amount What was cut.
    function slash(
        address owner,
        Role role,
        uint32 sharePpm,
        bytes32 evidenceId,
        address challenger
    ) external returns (uint96 amount);

    /// @notice Credits the validators' part up to a final epoch to the signers of its commit, by stake. Claims it from
    /// the ledger where nobody did. Anyone may call; dust stays for the next time.
    /// @dev Per call up to one epoch; if nobody calls for an epoch before a later one is distributed, the later
    /// epoch's signers share its part. Each epoch is the newest final one for at least the shortest epoch's length.
    /// @param proposer Who proposed it.
    /// @param votes The commit's signers and weights, as emitted.
    /// @param cumulative This contract's cumulative payout in the epoch's tree, proven by `index` and `proof`.
    function distribute(
        IAttributionLedger.CommittedEpoch calldata committed,
        address proposer,
        uint256[] calldata votes,
        uint128 cumulative,
        uint256 index,
        SumTree.Node[] calldata proof
    ) external;

    /// @notice Pays `account` what it was credited; anyone may call.
    function withdrawCredit(address account) external returns (uint128 amount);

    /// @notice The ledger that pays the validators' part here, and slashes for expired attempts.
    function ledger() external view returns (IAttributionLedger);

    /// @notice Whose key it is, and for which role; zero if nobody's.
    function keyOf(address key) external view returns (Key memory);

    /// @notice Whose key it is; zero if nobody's.
    function ownerOfKey(address key) external view returns (address);

    /// @notice Whether `key` signs receipts for `provider`.
    function isProviderKey(address provider, address key) external view returns (bool);

    /// @notice The key that carries a validator's weight now; zero if none.
    function votingKeyOf(address owner) external view returns (address);

    /// @notice The bond of `owner` in `role`.
    function positionOf(address owner, Role role) external view returns (Position memory);

    /// @notice Whether `owner` is bonded in `role` and not leaving.
    function isActive(address owner, Role role) external view returns (bool);

    /// @notice The draw anchors of a validator key.
    function drawAnchorsOf(address key) external view returns (DrawAnchors memory);

    /// @notice Number of the newest set; 0 before the first validator.
    function currentSetId() external view returns (uint64);

    /// @notice Weight of `key` in a set, at most the current one.
    function weightOf(uint64 setId, address key) external view returns (uint96);

    /// @notice Stake of all validators of a set.
    function totalWeight(uint64 setId) external view returns (uint256);

    /// @notice Each of `keys` with its weight in a set, packed by {Votes}; their weight together, and the set's total.
    /// Reverts with {NotInValidatorSet} for a key without weight. A key that is named twice counts twice.
    function votesOf(
        uint64 setId,
        address[] calldata keys
    ) external view returns (uint256[] memory votes, uint256 weight, uint256 total);

    /// @notice Owner and voting key of validators[turn mod count] of the current set, and the set's number.
    function validatorInTurn(uint256 turn) external view returns (address owner, address key, uint64 setId);

    /// @notice The same owner, and whether `account` is it or its voting key.
    function inTurn(
        uint256 turn,
        address account
    ) external view returns (address owner, uint64 setId, bool isAccount);

    /// @notice How many validators the current set has.
    function validatorCount() external view returns (uint256);

    /// @notice The validators' owners, in the order of turns; at most `limit` from `offset` on.
    function validators(uint256 offset, uint256 limit) external view returns (address[] memory);

    /// @notice What `account` can withdraw.
    function creditOf(address account) external view returns (uint128);

    /// @notice Credits cut from bonds and paid to nobody.
    function burned() external view returns (uint128);

    /// @notice Seconds between {requestExit} and {exit}.
    function exitDelaySeconds() external view returns (uint64);

    /// @notice Seconds in which evidence against an epoch's signers can still come after its window.
    function evidenceWindowSeconds() external view returns (uint64);

    /// @notice The least bond of a role.
    function minimumStakeOf(Role role) external view returns (uint96);

    /// @notice EIP-712 digest that a key signs to prove its possession.
    function possessionSigningDigest(
        address owner,
        address key,
        Role role,
        DrawAnchors calldata anchors
    ) external view returns (bytes32);
}
