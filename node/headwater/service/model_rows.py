"""The rows of model versions: what this home has trained, registered and serves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select, update

from headwater.errors import UnknownModel
from headwater.protocol.model import ModelVersion, is_certified
from headwater.storage.database import Database
from headwater.storage.schema import adapters, models
from headwater.types import Cid, Digest, hex0x


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version with the folder that holds its adapter, checkpoint and index."""

    name: str
    version: ModelVersion
    folder: Path
    state: str

    @property
    def adapter_folder(self) -> Path:
        return self.folder / "adapter"

    @property
    def checkpoint_folder(self) -> Path:
        return self.folder / "checkpoint"

    @property
    def index_folder(self) -> Path:
        return self.folder / "index"


class ModelRows:
    """registered -> attested -> active -> deprecated | revoked, or lapsed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, name: str, version: ModelVersion, folder: Path) -> None:
        values = {
            "model_id": hex0x(version.model_id),
            "version": version.version,
            "name": name,
            "document": version.json_text(),
            "folder": str(folder),
            "certificate_state": "certified" if is_certified(version) else "uncertified",
            "state": "registered",
        }
        self._database.write(lambda c: c.execute(insert(models).prefix_with("OR IGNORE").values(values)))

    def keep_adapter(self, name: str, version: ModelVersion, folder: Path, cid: Cid) -> None:
        """Remember under which CID the content network holds a version's adapter folder."""
        values = {
            "digest": hex0x(version.adapter_digest),
            "name": f"{name}@{version.version}",
            "base_digest": hex0x(version.base_digest),
            "cid": cid,
            "folder": str(folder / "adapter"),
            "model_id": hex0x(version.model_id),
            "version": version.version,
        }
        self._database.write(lambda c: c.execute(insert(adapters).prefix_with("OR IGNORE").values(values)))

    def set_state(self, model_id: Digest, version: int, state: str) -> None:
        where = (models.c.model_id == hex0x(model_id)) & (models.c.version == version)
        self._database.write(lambda c: c.execute(update(models).where(where).values(state=state)))

    def all(self) -> tuple[VersionRow, ...]:
        query = select(models).order_by(models.c.name, models.c.version)
        return tuple(self._row(r) for r in self._database.read(lambda c: c.execute(query).all()))

    def active(self) -> tuple[VersionRow, ...]:
        return tuple(row for row in self.all() if row.state in ("active", "deprecated"))

    def get(self, model_id: Digest, version: int) -> VersionRow:
        """Raises UnknownModel."""
        for row in self.all():
            if (row.version.model_id, row.version.version) == (model_id, version):
                return row
        raise UnknownModel(
            f"version {version} of model {hex0x(model_id)} is not in this home", "register it from here"
        )

    def named(self, name: str) -> VersionRow:
        """The newest version under a name. Raises UnknownModel."""
        found = [row for row in self.all() if row.name == name]
        if not found:
            raise UnknownModel(f"no model is called {name!r} in this home", "see `headwater model list`")
        return found[-1]

    @staticmethod
    def _row(row: Any) -> VersionRow:
        return VersionRow(row.name, ModelVersion.from_bytes(row.document), Path(row.folder), row.state)
