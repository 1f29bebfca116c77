"""What the registries say about model versions and payees, as settlement needs it."""

from __future__ import annotations

from collections.abc import Iterable

from headwater.protocol.epoch import EpochBundle, SignedReceipt
from headwater.protocol.model import PriceSplit
from headwater.service.workbench import Workbench
from headwater.settlement.epochs import Paymasters, VersionFacts, VersionKey
from headwater.settlement.refunds import is_past_grace
from headwater.types import Ppm, address, digest

MODELS = "ModelRegistry"
SPLIT_FIELDS = (
    "contributorsPpm",
    "modelOwnerPpm",
    "datanetOwnersPpm",
    "providerPpm",
    "validatorsPpm",
    "protocolPpm",
)


def version_facts(bench: Workbench, receipts: Iterable[SignedReceipt]) -> dict[VersionKey, VersionFacts]:
    """Facts for every version that the receipts name, with the owners of every Datanet that their shares name."""
    keys: dict[VersionKey, set[bytes]] = {}
    for signed in receipts:
        datanets = keys.setdefault((signed.receipt.model_id, signed.receipt.version), set())
        datanets.update(share.datanet_id for share in signed.body.shares)
    return {key: _facts(bench, key, datanets) for key, datanets in keys.items()}


def paymasters(bench: Workbench) -> Paymasters:
    return Paymasters(bench.contract_address("Staking"), address(bench.call(MODELS, "protocolPayee")))


def revoked_versions(bench: Workbench, bundle: EpochBundle) -> frozenset[VersionKey]:
    """Versions of the bundle's receipts that were revoked more than R epochs before it."""
    grace = bench.call("AttributionLedger", "parameters")["refundAfterEpochs"]
    keys = {(s.receipt.model_id, s.receipt.version) for s in bundle.receipts}
    since = {key: bench.call(MODELS, "stateOf", *key)["revokedInEpoch"] for key in keys}
    return frozenset(key for key in keys if is_past_grace(bundle.epoch_id, since[key], grace))


def split_of(bench: Workbench, key: VersionKey) -> PriceSplit:
    parts = bench.call(MODELS, "splitOf", *key)
    return PriceSplit(*(Ppm(parts[name]) for name in SPLIT_FIELDS))


def _facts(bench: Workbench, key: VersionKey, datanets: set[bytes]) -> VersionFacts:
    version = bench.call(MODELS, "versionOf", *key)
    return VersionFacts(
        split=split_of(bench, key),
        model_owner=address(bench.call(MODELS, "modelOf", key[0])["owner"]),
        base_payee=address(bench.call(MODELS, "basePayeeOf", version["baseDigest"])),
        datanet_owners={digest(d): address(bench.call("DatanetRegistry", "payeeOf", d)) for d in datanets},
    )
