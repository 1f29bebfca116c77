// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAttributionLedger} from "./IAttributionLedger.sol";
import {Leaves} from "../libraries/Leaves.sol";

/// @title Users' money, and the only place where a user's signature moves it
/// @notice Free credit -> a lane to one provider, capped by its allocation -> by vouchers of the lane's session key to
/// the AttributionLedger. What a closed lane has not redeemed returns to free credit.
interface ICreditEscrow {
    /// @notice Open -> Closing -> Closed.
    enum LaneStatus {
        None,
        Open,
        Closing,
        Closed
    }

    /// @notice One user's payments to one provider.
    struct Lane {
        uint128 allocated;
        uint128 redeemed;
        address sessionKey;
        /// @notice When a closing lane ends; vouchers are redeemable before it.
        uint64 closingAt;
        /// @notice 0 confidential, 1 public, 2 none; fixed for the lane's life.
        uint8 disclosure;
        LaneStatus status;
        address user;
        /// @notice After it anyone may start the lane's closing.
        uint64 expiresAt;
        /// @notice The epoch that came next when the lane was closed; 0 before. From R epochs after it on, what was
        /// redeemed and is not covered goes back to the user.
        uint32 closedInEpoch;
        address provider;
    }

    /// @notice Credit came in.
    event Deposited(address indexed from, address indexed account, uint128 amount);
    /// @notice Free credit went out.
    event Withdrawn(address indexed account, address indexed to, uint128 amount);
    /// @notice A lane began.
    event LaneOpened(
        bytes32 indexed laneId,
        address indexed user,
        address indexed provider,
        bytes32 laneNonce,
        address sessionKey,
        uint8 disclosure,
        uint64 expiresAt,
        uint128 allocated
    );
    /// @notice A lane's allocation grew.
    event LaneToppedUp(bytes32 indexed laneId, uint128 amount, uint128 allocated);
    /// @notice A voucher moved credit to the ledger.
    event VoucherRedeemed(bytes32 indexed laneId, uint128 amount, uint128 cumulative, bytes32 receiptHead);
    /// @notice A lane ends at `closingAt`.
    event LaneCloseRequested(bytes32 indexed laneId, address indexed by, uint64 closingAt);
    /// @notice A lane ended and returned what was left.
    event LaneClosed(bytes32 indexed laneId, uint128 returned, uint32 closedInEpoch);
    /// @notice A receipt with its attribution, both signed by the provider, was shown to the chain. Pays nobody.
    event ReceiptAnchored(
        bytes32 indexed receiptDigest,
        bytes32 indexed laneId,
        address indexed provider,
        uint64 sequence,
        bytes32 attributionDigest
    );

    /// @notice A constructor argument is out of its bounds.
    error ParameterOutOfBounds(bytes32 name, uint256 value);
    error ZeroAddress();
    error ZeroAmount();
    /// @notice The token moved another amount than asked: fee-on-transfer and rebasing tokens are refused.
    error TransferMismatch(uint256 received, uint256 expected);
    /// @notice Free credit does not suffice.
    error NotEnoughCredit(uint256 free, uint256 needed);
    /// @notice This user used this nonce with this provider before.
    error LaneExists(bytes32 laneId);
    /// @notice The lane is not in a state that allows it.
    error WrongLaneStatus(bytes32 laneId, LaneStatus status);
    /// @notice The provider is not bonded, or is leaving.
    error ProviderNotActive(address provider);
    error UnknownDisclosure(uint8 disclosure);
    error AlreadyExpired(uint64 expiresAt);
    /// @notice Only the user adds to a lane; user and provider end it, and anyone once it expired or its provider left.
    error NotLaneParty(bytes32 laneId, address caller);
    error CloseTooEarly(uint256 closingAt);
    /// @notice The lane's closing delay is over: its vouchers are void.
    error LaneEnded(bytes32 laneId, uint256 closingAt);
    error VoucherAboveAllocation(uint128 cumulative, uint128 allocated);
    /// @notice No key of the named provider made this signature.
    error WrongReceiptSigner(bytes32 receiptDigest, address provider);
    error WrongAttributionSigner(bytes32 receiptDigest, address provider);
    /// @notice The receipt names another user or provider than its lane.
    error ReceiptNotOfLane(bytes32 receiptDigest, bytes32 laneId);
    /// @notice The attribution is about another receipt, provider or model version.
    error AttributionMismatch(bytes32 receiptDigest);

    /// @notice Pulls credits from the caller and credits `to`.
    function deposit(address to, uint128 amountWei) external;

    /// @notice Sends free credit of the caller to `to`.
    function withdraw(address to, uint128 amountWei) external;

    /// @notice Moves free credit of the caller into a new lane.
    /// @param provider A bonded provider's owner account.
    /// @param laneNonce Never used before by the caller with this provider.
    /// @param allocation What the session key can spend at most.
    /// @param sessionKey An EOA key that signs this lane's vouchers and nothing else.
    /// @param disclosure 0 confidential, 1 public, 2 none.
    /// @param expiresAt Unix seconds; 0: never.
    /// @return laneId keccak(abi.encode(chainid, this, user, provider, laneNonce)).
    function openLane(
        address provider,
        bytes32 laneNonce,
        uint128 allocation,
        address sessionKey,
        uint8 disclosure,
        uint64 expiresAt
    ) external returns (bytes32 laneId);

    /// @notice Moves more free credit of the caller into its open lane.
    function topUp(bytes32 laneId, uint128 amountWei) external;

    /// @notice Moves what a voucher adds to the ledger; anyone may call. An equal or lower cumulative changes nothing.
    /// @dev Reverts with {Signatures.WrongSigner} unless the lane's session key signed.
    /// @return amount Wei moved.
    function redeem(Leaves.Voucher calldata voucher, bytes calldata signature) external returns (uint128 amount);

    /// @notice Starts the close delay. Vouchers stay redeemable until its end.
    function requestClose(bytes32 laneId) external;

    /// @notice Returns what is left to the user once the close delay is over; anyone may call.
    function close(bytes32 laneId) external;

    /// @notice Shows one receipt with its attribution to the chain, both signatures checked. Pays nobody.
    function anchorReceipt(
        Leaves.Receipt calldata receipt,
        bytes calldata receiptSignature,
        Leaves.Attribution calldata attribution,
        bytes calldata attributionSignature
    ) external;

    /// @notice Where redeemed credit goes.
    function ledger() external view returns (IAttributionLedger);

    /// @notice Free credit of `account`.
    function freeOf(address account) external view returns (uint128);

    /// @notice All about one lane; status None if there is no such lane.
    function laneOf(bytes32 laneId) external view returns (Lane memory);

    /// @notice The id that such a lane has or would have.
    function laneIdOf(address user, address provider, bytes32 laneNonce) external view returns (bytes32);

    /// @notice EIP-712 digest that a session key signs.
    function voucherSigningDigest(Leaves.Voucher calldata voucher) external view returns (bytes32);

    /// @notice EIP-712 digest that a provider's key signs.
    function receiptSigningDigest(Leaves.Receipt calldata receipt) external view returns (bytes32);

    /// @notice EIP-712 digest that a provider's key signs.
    function attributionSigningDigest(Leaves.Attribution calldata attribution) external view returns (bytes32);

    /// @notice Whether a key registered for `receipt.provider` signed it.
    function verifyReceiptSignature(
        Leaves.Receipt calldata receipt,
        bytes calldata signature
    ) external view returns (bool);

    /// @notice Whether a key registered for `attribution.provider` signed it.
    function verifyAttributionSignature(
        Leaves.Attribution calldata attribution,
        bytes calldata signature
    ) external view returns (bool);

    /// @notice Seconds between {requestClose} and {close}.
    function laneCloseDelaySeconds() external view returns (uint64);
}
