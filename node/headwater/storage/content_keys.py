"""Keys of sealed records, one a commitment. Destroying one erases its record everywhere and is remembered.

Implements `headwater.content.encryption.KeyStore` over the table `content_keys`; an empty key marks a destroyed one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, insert, select, update

from headwater.errors import ErasedContent, NotFound
from headwater.storage.database import Database
from headwater.storage.schema import content_keys
from headwater.types import Digest, hex0x

DESTROYED: Final = b""


class ContentKeys:
    """All keys of one home."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, commitment: Digest, key: bytes) -> bytes:
        """Keep `key` unless there is one; the key that the record has now. Raises ErasedContent."""
        return self._database.write(lambda connection: add_key(connection, commitment, key))

    def get(self, commitment: Digest) -> bytes:
        """Raises NotFound, ErasedContent."""
        where = content_keys.c.name == hex0x(commitment)
        key = self._database.read(lambda c: c.scalar(select(content_keys.c.key).where(where)))
        if key is None:
            raise NotFound(f"there is no key for record {hex0x(commitment)}", "its content never arrived here")
        return _living(commitment, key)

    def destroy(self, commitment: Digest) -> None:
        def work(connection: Connection) -> None:
            name = hex0x(commitment)
            row = {"name": name, "key": DESTROYED}
            connection.execute(insert(content_keys).prefix_with("OR IGNORE").values(row))
            connection.execute(update(content_keys).where(content_keys.c.name == name).values(key=DESTROYED))

        self._database.write(work)


class StagedKeys:
    """Keys gathered in memory, to be written with other rows in one transaction by `add_key`."""

    def __init__(self, stored: ContentKeys) -> None:
        self._stored = stored
        self._added: dict[Digest, bytes] = {}

    @property
    def added(self) -> Mapping[Digest, bytes]:
        return self._added

    def add(self, commitment: Digest, key: bytes) -> bytes:
        """Prefers a key that is stored already. Raises ErasedContent."""
        try:
            return self._stored.get(commitment)
        except ErasedContent:
            raise
        except NotFound:
            return self._added.setdefault(commitment, key)

    def get(self, commitment: Digest) -> bytes:
        return self._added[commitment] if commitment in self._added else self._stored.get(commitment)

    def destroy(self, commitment: Digest) -> None:
        self._added.pop(commitment, None)
        self._stored.destroy(commitment)


def add_key(connection: Connection, commitment: Digest, key: bytes) -> bytes:
    """Inside a writing transaction: keep `key` unless there is one. Raises ErasedContent."""
    name = hex0x(commitment)
    connection.execute(insert(content_keys).prefix_with("OR IGNORE").values({"name": name, "key": key}))
    kept = connection.scalar(select(content_keys.c.key).where(content_keys.c.name == name))
    return _living(commitment, kept)


def _living(commitment: Digest, key: bytes | None) -> bytes:
    if not key:
        raise ErasedContent(f"the key of record {hex0x(commitment)} was destroyed", "it cannot come back")
    return key
