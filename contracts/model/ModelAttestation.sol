// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {IQuorum} from "../interfaces/IQuorum.sol";
import {IStaking} from "../interfaces/IStaking.sol";
import {Signatures} from "../libraries/Signatures.sol";
import {ModelBase} from "./ModelBase.sol";

/// @title Who vouches for a version, and what they get for it
/// @dev The seal freezes the validator set, so that weights cannot be moved between votes. Each verdict reveals the next
/// link of its key's hash chain, which was fixed before the sealed hash that it is mixed with.
abstract contract ModelAttestation is ModelBase, EIP712 {
    using SafeERC20 for IERC20;

    struct Draw {
        bytes32 lastLink;
        uint64 position;
    }

    bytes32 public constant VERSION_VERDICT_TYPEHASH =
        keccak256(
            "VersionVerdict(bytes32 modelId,uint32 version,bytes32 versionDigest,uint64 validatorSetId,bytes32 sealedHash,bytes32 preimage,bytes32 findingsDigest,bool accepted)"
        );

    /// @notice The block whose hash seals a version is the next one, so its hash is known from the second on ...
    uint64 public constant SEAL_FROM_BLOCKS = 2;

    /// @notice ... and for as long as the chain remembers it.
    uint64 public constant SEAL_UNTIL_BLOCKS = 256;

    /// @notice The credits in which fees are paid.
    IERC20 public immutable token;

    /// @notice Whose keys and weights count.
    IStaking public immutable staking;

    /// @notice How much weight is enough.
    IQuorum public immutable quorum;

    mapping(bytes32 modelId => mapping(uint32 version => mapping(address key => Vote))) private _votes;
    mapping(address key => Draw) private _draws;

    constructor(IERC20 token_, IStaking staking_, IQuorum quorum_) EIP712("Headwater ModelRegistry", "1") {
        token = token_;
        staking = staking_;
        quorum = quorum_;
    }

    /// @inheritdoc IModelRegistry
    function seal(bytes32 modelId, uint32 version) external returns (bytes32 sealedHash) {
        VersionState storage state = _stateOf(modelId, version);
        if (state.sealedHash != 0) revert AlreadySealed(modelId, version);
        uint64 registered = state.registeredBlock;
        if (block.number < registered + SEAL_FROM_BLOCKS) revert SealTooEarly(registered + SEAL_FROM_BLOCKS);
        if (block.number > registered + SEAL_UNTIL_BLOCKS) revert SealTooLate(registered + SEAL_UNTIL_BLOCKS);
        uint64 setId = staking.currentSetId();
        if (setId == 0 || staking.totalWeight(setId) == 0) revert NoValidators();
        sealedHash = blockhash(registered + 1);
        state.sealedHash = sealedHash;
        state.validatorSetId = setId;
        emit VersionSealed(modelId, version, sealedHash, setId);
    }

    /// @inheritdoc IModelRegistry
    function attestVersion(VersionVerdict calldata verdict, bytes calldata signature) external {
        VersionState storage state = _stateOf(verdict.modelId, verdict.version);
        _requireMatch(verdict, state);
        address key = Signatures.recover(
            _hashTypedDataV4(keccak256(abi.encode(VERSION_VERDICT_TYPEHASH, verdict))),
            signature
        );
        uint96 weight = key == address(0) ? 0 : staking.weightOf(verdict.validatorSetId, key);
        if (weight == 0) revert NotInValidatorSet(key, verdict.validatorSetId);
        Vote storage vote = _votes[verdict.modelId][verdict.version][key];
        if (vote.weight != 0) revert AlreadyVoted(key);
        vote.weight = weight;
        vote.accepted = verdict.accepted;
        _draw(key, verdict.preimage);
        emit VerdictGiven(
            verdict.modelId,
            verdict.version,
            key,
            verdict.accepted,
            weight,
            verdict.findingsDigest
        );
        _count(verdict, state, weight);
    }

    /// @inheritdoc IModelRegistry
    function payAttester(bytes32 modelId, uint32 version, address key) external returns (uint256 amountWei) {
        VersionState storage state = _stateOf(modelId, version);
        Vote storage vote = _votes[modelId][version][key];
        bool hasLapsed = state.status == VersionStatus.Lapsed;
        bool isOwed = state.status != VersionStatus.Registered &&
            vote.weight != 0 &&
            !vote.isPaid &&
            vote.accepted != hasLapsed;
        if (!isOwed || state.feeWei == 0) revert NothingToPay(key);
        uint256 whole = hasLapsed ? state.rejectedWeight : state.acceptedWeight;
        uint256 fee = state.feeWei;
        uint128 before = state.paidWeight;
        uint128 afterwards = before + vote.weight;
        // Rounded down cumulatively: the last one paid makes the sum the fee, exactly.
        amountWei = (fee * afterwards) / whole - (fee * before) / whole;
        state.paidWeight = afterwards;
        vote.isPaid = true;
        address owner = staking.ownerOfKey(key);
        emit AttesterPaid(modelId, version, owner, amountWei);
        token.safeTransfer(owner, amountWei);
    }

    /// @inheritdoc IModelRegistry
    function lapse(bytes32 modelId, uint32 version) external {
        VersionState storage state = _stateOf(modelId, version);
        if (state.status != VersionStatus.Registered) revert InvalidTransition(state.status, VersionStatus.Lapsed);
        uint64 until = state.registeredAt + _parameters.attestationWindowSeconds;
        if (block.timestamp < until) revert AttestationStillOpen(until);
        _move(modelId, version, state, VersionStatus.Lapsed);
        uint256 amountWei = state.feeWei;
        state.feeWei = 0;
        emit FeeRefunded(modelId, version, state.payer, amountWei);
        token.safeTransfer(state.payer, amountWei);
    }

    /// @inheritdoc IModelRegistry
    function voteOf(bytes32 modelId, uint32 version, address key) external view returns (Vote memory) {
        return _votes[modelId][version][key];
    }

    /// @inheritdoc IModelRegistry
    function drawPositionOf(address key) external view returns (uint64) {
        return _draws[key].position;
    }

    /// @dev Takes the fee from the caller.
    function _escrowFee(VersionState storage state) internal {
        uint128 feeWei = _parameters.attestationFeeWei;
        state.feeWei = feeWei;
        state.payer = msg.sender;
        token.safeTransferFrom(msg.sender, address(this), feeWei);
    }

    function _count(VersionVerdict calldata verdict, VersionState storage state, uint96 weight) private {
        uint256 needed = quorum.neededOf(staking.totalWeight(verdict.validatorSetId));
        if (verdict.accepted) {
            state.acceptedWeight += weight;
            ++state.attesters;
            if (state.acceptedWeight >= needed) {
                _move(verdict.modelId, verdict.version, state, VersionStatus.Attested);
            }
        } else {
            state.rejectedWeight += weight;
            if (state.rejectedWeight >= needed) {
                _move(verdict.modelId, verdict.version, state, VersionStatus.Lapsed);
            }
        }
    }

    /// @dev Moves the key's chain one link back; its end is what the key was registered with.
    function _draw(address key, bytes32 preimage) private {
        Draw storage draw = _draws[key];
        bytes32 expected = draw.position == 0 ? staking.drawAnchorsOf(key).versionDraw : draw.lastLink;
        bytes32 given = keccak256(abi.encode(preimage));
        if (given != expected) revert WrongPreimage(expected, given);
        draw.lastLink = preimage;
        ++draw.position;
    }

    function _requireMatch(VersionVerdict calldata verdict, VersionState storage state) private view {
        if (state.status != VersionStatus.Registered) revert InvalidTransition(state.status, VersionStatus.Attested);
        if (state.sealedHash == 0) revert NotSealed(verdict.modelId, verdict.version);
        if (verdict.versionDigest != state.versionDigest) {
            revert VerdictMismatch("versionDigest", state.versionDigest, verdict.versionDigest);
        }
        if (verdict.sealedHash != state.sealedHash) {
            revert VerdictMismatch("sealedHash", state.sealedHash, verdict.sealedHash);
        }
        if (verdict.validatorSetId != state.validatorSetId) {
            revert VerdictMismatch(
                "validatorSetId",
                bytes32(uint256(state.validatorSetId)),
                bytes32(uint256(verdict.validatorSetId))
            );
        }
    }
}
