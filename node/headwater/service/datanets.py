"""Datanets as a node runs them: create, anchor, receive, withdraw, snapshot, seal.

In: signed contributions, then their content. Out: anchored roots, encrypted records under CIDs, sealed snapshots.
The node sees a batch's root first and its content only after the chain holds the root, so nobody's work can be
copied before it is theirs. Everything acknowledged is on disk; every step may be repeated and has one effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from eth_utils import keccak
from sqlalchemy import insert, select, update

from headwater.content.cid import cid_of_digest
from headwater.content.encryption import open_record, seal_record
from headwater.datanets.batches import batch_tree
from headwater.datanets.snapshots import AnchoredBatch, build_manifest, sealed_split
from headwater.errors import BadRecord, Conflict, Expired, NotFound, Refused
from headwater.protocol.canonical import canonical_json
from headwater.protocol.contribution import (
    Contribution,
    ContributionBatch,
    Record,
    SaltedRecord,
    Withdrawal,
    commitment,
)
from headwater.protocol.license import License
from headwater.protocol.signatures import require_signer
from headwater.protocol.snapshot import DataSplit, Snapshot, SnapshotManifest, Split, snapshot_of
from headwater.service.contribution_rows import ContributionRow, ContributionRows
from headwater.service.workbench import Workbench
from headwater.storage.content_keys import ContentKeys, StagedKeys
from headwater.storage.schema import snapshots
from headwater.types import ZERO_DIGEST, Address, Cid, Digest, Signature, digest, hex0x

DATANETS = "DatanetRegistry"
LOG = "ContributionLog"


@dataclass(frozen=True, slots=True)
class DatanetCard:
    """A Datanet as it is listed."""

    datanet_id: Digest
    name: str
    owner: Address
    license_digest: Digest
    contributions: int
    records: int


@dataclass(frozen=True, slots=True)
class SealedSnapshot:
    """A snapshot that the chain has sealed, with its content opened."""

    snapshot_id: Digest
    snapshot: Snapshot
    manifest: SnapshotManifest
    sealed_hash: Digest
    records: Mapping[Digest, Record]

    def split(self, kind: DataSplit) -> Split:
        return sealed_split(self.manifest, self.records, self.snapshot_id, self.sealed_hash, kind)


class Datanets:
    """All verbs on Datanets; `relayer` is the wallet that pays for anchoring other people's signatures."""

    def __init__(self, bench: Workbench, relayer: str = "operator") -> None:
        self._bench = bench
        self._relayer = relayer
        self._rows = ContributionRows(bench.database)
        self._keys = ContentKeys(bench.database)

    # -- the Datanet and its terms -----------------------------------------------------------------------------

    def create(self, owner: str, name: str, terms: License) -> Digest:
        """Create a Datanet on chain; the name fixes its id for this owner, so a second call changes nothing."""
        salt = keccak(text=name)
        datanet_id = digest(self._bench.call(DATANETS, "datanetIdOf", self._bench.address(owner), salt))
        metadata = canonical_json({"name": name})
        self._bench.store.put(terms.canonical_bytes())
        metadata_cid = self._bench.store.put(metadata)
        on_chain = (terms.digest(), terms.contributors_minimum_ppm, terms.weakest_disclosure.value)
        intent = f"datanet create {hex0x(datanet_id)}"
        self._bench.send(
            owner, DATANETS, "create", salt, on_chain, self._bench.raw_digest(metadata_cid), intent=intent
        )
        return datanet_id

    def terms(self, datanet_id: Digest) -> License:
        """The licence now in force, checked against the chain's digest. Raises NotFound, MissingContent."""
        now = digest(self._bench.call(DATANETS, "openLicenseOf", datanet_id))
        return License.from_bytes(self._bench.store.get(cid_of_digest(now)))

    def list(self) -> tuple[DatanetCard, ...]:
        """Every Datanet on this chain, with what this node holds of it."""
        return tuple(self.show(digest(e.args["datanetId"])) for e in self._bench.events(DATANETS, "DatanetCreated"))

    def show(self, datanet_id: Digest) -> DatanetCard:
        facts = self._bench.call(DATANETS, "datanetOf", datanet_id)
        metadata = self._bench.json_of(cid_of_digest(digest(facts["metadataDigest"])))
        rows = self._rows.in_datanet(datanet_id, ("delivered",))
        return DatanetCard(
            datanet_id,
            str(metadata.get("name", "")),
            facts["owner"],
            digest(facts["terms"]["licenseDigest"]),
            len(rows),
            sum(Contribution.from_bytes(row.document).record_count for row in rows),
        )

    # -- a contribution's two steps ----------------------------------------------------------------------------

    def anchor(self, contribution: Contribution, signature: Signature) -> Digest:
        """Check a signed contribution and put its root on chain. The same one again gives the same answer.

        Raises BadSignature, Expired, Refused (foreign licence).
        """
        domain = self._bench.domain(LOG)
        contribution_id = contribution.signing_digest(domain)
        if self._rows.get(contribution_id) is None:
            require_signer(contribution_id, signature, contribution.contributor, "the contribution")
            if contribution.deadline < self._bench.chain_time():
                raise Expired("the contribution's deadline has passed", "sign it again with a later deadline")
            self._rows.receive(contribution_id, contribution, signature, self._bench.chain_time())
        if self._rows.required(contribution_id).state == "received":
            self._anchor_on_chain(contribution_id, contribution, signature)
        return contribution_id

    def _anchor_on_chain(self, contribution_id: Digest, contribution: Contribution, signature: Signature) -> None:
        datanet_id, intent = contribution.datanet_id, f"anchor {hex0x(contribution_id)}"
        entry = self._bench.call(LOG, "entryOf", datanet_id, contribution_id)
        if entry["position"] == 0:
            # Zero: on any head. Whose contribution comes first does not matter here, and a crossing must not fail it.
            self._bench.send(
                self._relayer, LOG, "anchor", ZERO_DIGEST, contribution.values(), signature, intent=intent
            )
        (event,) = self._bench.events(
            LOG, "ContributionAnchored", datanetId=datanet_id, contributionId=contribution_id
        )
        self._rows.anchored(contribution_id, event.block_number, int(event.args["position"]))

    def deliver(self, contribution_id: Digest, batch: ContributionBatch) -> Cid:
        """Check content against its anchored root, encrypt it record by record, store it. Idempotent.

        Raises NotFound, Refused (not anchored), BadRecord (another root), DiskFull.
        """
        row = self._rows.required(contribution_id)
        if row.state in ("delivered", "withdrawn"):
            return Cid(row.bundle_cid)
        if row.state != "anchored":
            raise Refused("the chain does not hold this contribution's root yet", "wait for its anchoring")
        contribution = Contribution.from_bytes(row.document)
        signed = (contribution.records_root, contribution.record_count)
        if (batch_tree(contribution, batch).root, len(batch.records)) != signed:
            raise BadRecord(
                "the content does not match the root that was signed", "send the records and salts that you signed"
            )
        names = [commitment(contribution, salted).digest() for salted in batch.records]
        keys = StagedKeys(self._keys)
        sealed = {
            hex0x(name): seal_record(
                salted.canonical_bytes(), contribution.datanet_id, name, keys, self._bench.entropy
            )
            for name, salted in zip(names, batch.records, strict=True)
        }
        cid = self._bench.store.put(sealed)
        self._rows.delivered(contribution_id, names, keys.added, cid)
        return cid

    def withdraw(self, withdrawal: Withdrawal, signature: Signature) -> None:
        """Relay a contributor's withdrawal; it binds when the chain has it. Raises BadSignature, NotFound."""
        contribution_id = withdrawal.contribution_id
        require_signer(
            withdrawal.signing_digest(self._bench.domain(LOG)), signature, withdrawal.contributor, "the withdrawal"
        )
        self._rows.required(contribution_id)
        self._rows.ask_withdrawal(withdrawal, signature)
        intent = f"withdraw {hex0x(contribution_id)}"
        self._bench.send(self._relayer, LOG, "withdraw", withdrawal.values(), signature, intent=intent)
        self._rows.withdrawn(contribution_id)

    # -- snapshots ---------------------------------------------------------------------------------------------

    def snapshot(self, owner: str, datanet_id: Digest, held_out_ppm: int) -> Digest:
        """Build the one snapshot that the chain's order allows and commit it by the owner's transaction."""
        heads = self._bench.call(LOG, "headsOf", datanet_id)
        manifest = build_manifest(
            datanet_id, digest(heads["head"]), held_out_ppm, self._batches(datanet_id), self._revoked(datanet_id)
        )
        snapshot = snapshot_of(manifest)
        snapshot_id = snapshot.signing_digest(self._bench.domain(LOG))
        cid = self._bench.store.put(manifest.canonical_bytes())
        intent = f"snapshot {hex0x(snapshot_id)}"
        self._bench.send(owner, LOG, "commitSnapshot", snapshot.values(), intent=intent)
        values = {
            "snapshot_id": hex0x(snapshot_id),
            "datanet_id": hex0x(datanet_id),
            "document": snapshot.json_text(),
            "manifest_cid": cid,
            "state": "committed",
        }
        self._bench.database.write(lambda c: c.execute(insert(snapshots).prefix_with("OR IGNORE").values(values)))
        return snapshot_id

    def seal(self, wallet: str, snapshot_id: Digest) -> Digest:
        """Fix the hash of the block after the commit; on the embedded chain, mine the blocks that this needs."""
        sealed = digest(self._bench.call(LOG, "snapshotOf", snapshot_id)["sealedHash"])
        if sealed == bytes(32):
            self._bench.mine_for_seal()
            self._bench.send(wallet, LOG, "seal", snapshot_id, intent=f"seal snapshot {hex0x(snapshot_id)}")
            sealed = digest(self._bench.call(LOG, "snapshotOf", snapshot_id)["sealedHash"])
        values = {"sealed_hash": hex0x(sealed), "state": "sealed"}
        where = snapshots.c.snapshot_id == hex0x(snapshot_id)
        self._bench.database.write(lambda c: c.execute(update(snapshots).where(where).values(values)))
        return sealed

    def sealed(self, snapshot_id: Digest) -> SealedSnapshot:
        """Open a sealed snapshot: manifest checked against the chain, records decrypted and checked against it."""
        row = self._bench.database.read(
            lambda c: c.execute(select(snapshots).where(snapshots.c.snapshot_id == hex0x(snapshot_id))).one_or_none()
        )
        if row is None or row.sealed_hash is None:
            raise NotFound(f"no sealed snapshot {hex0x(snapshot_id)} is here", "commit and seal it first")
        manifest = SnapshotManifest.from_bytes(self._bench.store.get(Cid(row.manifest_cid)))
        snapshot = snapshot_of(manifest)
        if snapshot.signing_digest(self._bench.domain(LOG)) != snapshot_id:
            raise Conflict("the stored manifest is not the one that was committed", "build the snapshot again")
        records = {e.commitment: self.record(e.commitment) for e in manifest.entries}
        return SealedSnapshot(snapshot_id, snapshot, manifest, digest(row.sealed_hash), records)

    def record(self, name: Digest) -> Record:
        """Decrypt one record by its commitment. Raises NotFound (unknown, or its key was destroyed)."""
        row = self._rows.record(name)
        sealed = self._bench.store.get_file(Cid(row.bundle_cid), hex0x(name))
        return self._unsealed(sealed, digest(row.datanet_id), name).record

    def _unsealed(self, sealed: bytes, datanet_id: Digest, name: Digest) -> SaltedRecord:
        return SaltedRecord.from_bytes(open_record(sealed, datanet_id, name, self._keys))

    def unused_sealed(self, used: tuple[Digest, ...]) -> tuple[Digest, ...]:
        """Sealed snapshots of the same Datanets that `used` does not name: shown in every report."""
        datanets = {self.sealed(s).snapshot.datanet_id for s in used}
        rows = self._bench.database.read(
            lambda c: c.execute(select(snapshots).where(snapshots.c.sealed_hash.is_not(None))).all()
        )
        found = {digest(r.snapshot_id) for r in rows if digest(r.datanet_id) in datanets}
        return tuple(sorted(found - set(used)))

    # -- what the chain and this node's rows say together ------------------------------------------------------

    def _batches(self, datanet_id: Digest) -> tuple[AnchoredBatch, ...]:
        """Anchored contributions whose content is here, opened."""
        return tuple(self._open(row) for row in self._rows.in_datanet(datanet_id, ("delivered", "withdrawn")))

    def _open(self, row: ContributionRow) -> AnchoredBatch:
        names = self._rows.record_names(digest(row.contribution_id))
        datanet_id = digest(row.datanet_id)
        files = (self._bench.store.get_file(Cid(row.bundle_cid), hex0x(name)) for name in names)
        batch = ContributionBatch(
            tuple(self._unsealed(data, datanet_id, name) for name, data in zip(names, files, strict=True))
        )
        contribution = Contribution.from_bytes(row.document)
        return AnchoredBatch(
            digest(row.contribution_id), row.anchored_block, row.anchored_position, contribution, batch
        )

    def _revoked(self, datanet_id: Digest) -> frozenset[Digest]:
        """Contributions that the chain says are withdrawn or taken down."""
        events = self._bench.events(LOG, "ContributionRevoked", datanetId=datanet_id)
        return frozenset(digest(e.args["contributionId"]) for e in events)
