// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {ModelBase} from "./ModelBase.sol";

/// @title A version's append-only price list
/// @dev A rise waits, and only one may wait at a time; so the price in force is the last entry, or the one before it.
abstract contract ModelPrices is ModelBase {
    /// @inheritdoc IModelRegistry
    uint64 public constant NEVER = type(uint64).max;

    /// @inheritdoc IModelRegistry
    uint256 public constant MAX_PAGE = 256;

    mapping(bytes32 modelId => mapping(uint32 version => mapping(uint32 priceVersion => Price))) private _prices;

    /// @inheritdoc IModelRegistry
    function proposePrice(
        bytes32 modelId,
        uint32 version,
        uint128 perThousandTokensWei
    ) external returns (uint32 priceVersion) {
        _owned(modelId);
        VersionState storage state = _stateOf(modelId, version);
        uint32 last = state.priceCount;
        uint32 current = _currentPriceVersion(modelId, version, last);
        uint128 inForce = _prices[modelId][version][current].perThousandTokensWei;
        if (perThousandTokensWei == inForce) revert SamePrice(inForce);
        uint64 effectiveAt = uint64(block.timestamp);
        if (perThousandTokensWei > inForce) {
            if (current != last) revert PriceRisePending(_prices[modelId][version][last].effectiveAt);
            effectiveAt += _parameters.priceRiseDelaySeconds;
        } else if (current != last) {
            _prices[modelId][version][last].effectiveAt = NEVER;
            emit PriceWithdrawn(modelId, version, last);
        }
        priceVersion = _addPrice(modelId, version, state, Price(perThousandTokensWei, effectiveAt));
    }

    /// @inheritdoc IModelRegistry
    function quote(
        bytes32 modelId,
        uint32 version
    ) external view returns (uint128 perThousandTokensWei, uint32 priceVersion, PriceSplit memory split) {
        priceVersion = _currentPriceVersion(modelId, version, _stateOf(modelId, version).priceCount);
        perThousandTokensWei = _prices[modelId][version][priceVersion].perThousandTokensWei;
        split = _splits[modelId][version];
    }

    /// @inheritdoc IModelRegistry
    function priceAt(
        bytes32 modelId,
        uint32 version,
        uint32 priceVersion
    ) external view returns (Price memory) {
        if (priceVersion == 0 || priceVersion > _stateOf(modelId, version).priceCount) {
            revert UnknownPriceVersion(modelId, version, priceVersion);
        }
        return _prices[modelId][version][priceVersion];
    }

    /// @inheritdoc IModelRegistry
    function pricesOf(
        bytes32 modelId,
        uint32 version,
        uint256 offset,
        uint256 limit
    ) external view returns (Price[] memory page) {
        uint256 count = _stateOf(modelId, version).priceCount;
        if (limit > MAX_PAGE) limit = MAX_PAGE;
        uint256 left = offset < count ? count - offset : 0;
        page = new Price[](limit < left ? limit : left);
        for (uint256 i = 0; i < page.length; ++i) {
            page[i] = _prices[modelId][version][uint32(offset + i + 1)];
        }
    }

    function _addPrice(
        bytes32 modelId,
        uint32 version,
        VersionState storage state,
        Price memory price
    ) internal returns (uint32 priceVersion) {
        priceVersion = ++state.priceCount;
        _prices[modelId][version][priceVersion] = price;
        emit PriceAdded(modelId, version, priceVersion, price.perThousandTokensWei, price.effectiveAt);
    }

    function _currentPriceVersion(bytes32 modelId, uint32 version, uint32 last) private view returns (uint32) {
        return _prices[modelId][version][last].effectiveAt <= block.timestamp ? last : last - 1;
    }
}
