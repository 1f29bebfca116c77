"""Which content store a configuration names.

In: `store_url` of the configuration, the home's content folder, perhaps a Kubo repository. Out: a `ContentStore`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from headwater.content.ipfshttpclient_store import IpfsHttpClientStore
from headwater.content.kubo import KuboStore, find_daemon
from headwater.content.store import ContentStore, LocalStore
from headwater.errors import InvalidInput

KUBO: Final = "kubo:"
IPFSHTTPCLIENT: Final = "ipfshttpclient:"


def open_store(store_url: str, folder: Path, ipfs_path: Path | None = None, token: str = "") -> ContentStore:
    """Open the store that `store_url` names.

    '' = a `LocalStore` in `folder`; 'kubo:http://host:port' = that daemon; 'kubo:' = the daemon that runs on the
    repository `ipfs_path`; 'ipfshttpclient:/ip4/…/tcp/…' = the same through that package. `folder` also holds what is
    on its way to a daemon; `token` is for a daemon whose API asks for one. Raises InvalidInput, Unavailable.
    """
    if not store_url:
        return LocalStore(folder)
    if store_url.startswith(KUBO):
        return KuboStore(find_daemon(store_url.removeprefix(KUBO), ipfs_path), folder / "spool", token)
    if store_url.startswith(IPFSHTTPCLIENT):
        return IpfsHttpClientStore(store_url.removeprefix(IPFSHTTPCLIENT), folder / "spool")
    raise InvalidInput(f"store_url {store_url!r} names no store", "set kubo:http://127.0.0.1:5001, or nothing")
