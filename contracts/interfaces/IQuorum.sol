// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Whether enough of a validator set stands behind a digest
/// @notice The seam between what is decided and how votes are collected: ECDSA now, an aggregate scheme later.
interface IQuorum {
    /// @notice The votes do not reach the quorum of the set.
    /// @param weight Stake behind the digest.
    /// @param needed Least stake that would do.
    error QuorumNotReached(uint256 weight, uint256 needed);

    /// @notice Signers must ascend strictly by address, so that each is counted once.
    /// @param position The first signature out of order, from 0.
    error SignersNotAscending(uint256 position);

    /// @notice The evidence is not a whole number of signatures, or none.
    error MalformedSignatures(uint256 length);

    /// @notice Reverts unless the set's quorum signed `digest`, with {IStaking-NotInValidatorSet} for a stranger's vote.
    /// @param setId A validator set of Staking, at most the current one.
    /// @param digest What was signed.
    /// @param signatures Scheme-specific; for ECDSA 65 bytes (r, s, v) each, ascending by signer.
    /// @return votes Each signer with its weight, packed by {Votes}.
    function requireQuorum(
        uint64 setId,
        bytes32 digest,
        bytes calldata signatures
    ) external view returns (uint256[] memory votes);

    /// @notice Least stake that is a quorum of `total`, in wei, rounded up.
    function neededOf(uint256 total) external view returns (uint256);
}
