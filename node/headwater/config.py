"""One frozen configuration, built in one place: command line > environment > `headwater.toml` > defaults.

In: overrides as a mapping, the environment, an optional TOML file in the home. Out: a `Config`. No other module
reads `os.environ`. Values that are secret are marked in their field's metadata, and `shown()` hides them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from headwater.errors import InvalidInput

FILE_NAME: Final = "headwater.toml"
ENVIRONMENT_PREFIX: Final = "HEADWATER_"
SECRET: Final = {"secret": True}
DEFAULT_BASE: Final = "SmolLM2-135M-Instruct"
"""The base model that is served and trained unless another one is named."""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything a node or command can be told; each field is also `HEADWATER_<FIELD>` and a TOML key."""

    home: Path
    """The folder that holds all state of one node."""
    host: str = "127.0.0.1"
    """Where every server listens. Anything but loopback must be asked for."""
    chain_id: int = 31337
    rpc_url: str = ""
    """JSON-RPC of the chain; empty = the embedded chain of this home, at `host:rpc_port`."""
    rpc_port: int = 8545
    api_port: int = 8080
    proxy_port: int = 8081
    token: str = field(default="", metadata=SECRET)
    """Bearer token of the node's API; empty = the one that the home keeps in `api-token`."""
    password_file: str = ""
    """A file that holds the keystores' password; empty = ask at the terminal."""
    keystore_kdf: str = "scrypt"
    """`scrypt` (n = 262,144) or `light` (n = 4,096, for devnets)."""
    store_url: str = ""
    """Content network: empty = the local store, `kubo:http://host:port` = a Kubo daemon's RPC."""
    store_token_file: str = ""
    """A file that holds the token of a Kubo daemon whose API asks for one."""
    database_url: str = ""
    """SQLAlchemy URL; empty = SQLite in the home."""
    assets_dir: str = ""
    """Prepared base weights; empty = the user's cache folder."""
    device: str = "auto"
    """`auto`, `cpu` or `cuda`."""
    threads: int = 0
    """Threads for numerical work; 0 = the processor's cores."""
    max_unvouchered_wei: int = 10**18
    """How much a provider serves before the voucher for it arrives."""
    seed: str = field(default="", metadata=SECRET)
    """Demo homes only: fixes wallets, salts, content keys, nonces and block times."""

    def shown(self) -> dict[str, object]:
        """The configuration as it may be printed: secrets as '(set)' or '(not set)'."""
        out: dict[str, object] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if f.metadata.get("secret"):
                out[f.name] = "(set)" if value else "(not set)"
            else:
                out[f.name] = str(value) if isinstance(value, Path) else value
        return out

    @property
    def chain_rpc_url(self) -> str:
        return self.rpc_url or f"http://{self.host}:{self.rpc_port}"

    @property
    def api_url(self) -> str:
        return f"http://{self.host}:{self.api_port}"

    @property
    def proxy_url(self) -> str:
        return f"http://{self.host}:{self.proxy_port}"

    @property
    def is_embedded_chain(self) -> bool:
        return not self.rpc_url

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.home / 'headwater.sqlite'}"


def load_config(
    overrides: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    default_home: Path | None = None,
) -> Config:
    """Merge the four sources. Raises InvalidInput for an unknown key or a value of the wrong kind.

    `overrides`: from the command line; None values count as not given. `environment`: usually `os.environ`.
    """
    given = {k: v for k, v in (overrides or {}).items() if v is not None}
    env = {
        k.removeprefix(ENVIRONMENT_PREFIX).lower(): v
        for k, v in (environment or {}).items()
        if k.startswith(ENVIRONMENT_PREFIX)
    }
    known = {f.name for f in fields(Config)}
    home = Path(given.get("home") or env.get("home") or default_home or Path.home() / ".headwater").expanduser()
    from_file = _read_file(home / FILE_NAME)
    for source, values in (
        (str(home / FILE_NAME), from_file),
        ("the environment", env),
        ("the command line", given),
    ):
        for key in values.keys() - known:
            raise InvalidInput(
                f"unknown setting {key!r} in {source}",
                "see `headwater config show` for the names",
                setting=key,
            )
    merged: dict[str, Any] = {**from_file, **env, **given, "home": home.absolute()}
    return Config(**{key: _typed(key, value) for key, value in merged.items()})


def _read_file(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} is not TOML: {error}", "mend the file at the line named") from None


def _typed(key: str, value: Any) -> Any:
    kind = {f.name: f.type for f in fields(Config)}[key]
    if kind == "Path":
        return Path(value)
    if kind == "int":
        if isinstance(value, bool):
            raise InvalidInput(f"setting {key} must be a whole number, not {value!r}", "pass digits only")
        try:
            return int(value)
        except (TypeError, ValueError):
            raise InvalidInput(f"setting {key} must be a whole number, not {value!r}", "pass digits only") from None
    if not isinstance(value, str):
        raise InvalidInput(f"setting {key} must be text, not {value!r}", "put it in quotes")
    return value
