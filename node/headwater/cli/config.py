"""`headwater config`: what is set, and whether it can work."""

from __future__ import annotations

import typer

from headwater.cli.session import Session, Shown, command
from headwater.errors import InvalidInput

app = typer.Typer(help="Show and check the configuration.", no_args_is_help=True)


@command(app, "show")
def show(session: Session) -> Shown:
    """Print the merged configuration (command line > environment > headwater.toml > defaults); secrets are hidden."""
    shown = session.config.shown()
    return Shown(shown, "\n".join(f"{name:<20} {value}" for name, value in shown.items()))


@command(app, "check")
def check(session: Session) -> Shown:
    """Check that the settings can work together; exit 2 with the first that cannot."""
    config = session.config
    ports = {"rpc_port": config.rpc_port, "api_port": config.api_port, "proxy_port": config.proxy_port}
    for name, port in ports.items():
        if not 0 <= port < 65_536:
            raise InvalidInput(f"{name} = {port} is not a port", "choose 1 to 65535, or 0 for any free one")
    taken = [p for p in ports.values() if p]
    if len(set(taken)) != len(taken):
        raise InvalidInput("two servers share a port", "give rpc_port, api_port and proxy_port different numbers")
    if config.keystore_kdf not in ("scrypt", "light"):
        raise InvalidInput(f"keystore_kdf = {config.keystore_kdf!r} is unknown", "use scrypt or light")
    if config.device not in ("auto", "cpu", "cuda"):
        raise InvalidInput(f"device = {config.device!r} is unknown", "use auto, cpu or cuda")
    if config.seed and config.rpc_url:
        raise InvalidInput("a seeded home needs the embedded chain", "leave out rpc_url or seed")
    return Shown({"ok": True}, "The configuration can work.")
