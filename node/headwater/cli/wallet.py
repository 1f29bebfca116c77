"""`headwater wallet`: encrypted keystores, and funding on devnets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headwater.cli.home import account, ask_password, credits_to_wei, in_credits, read_text, workbench, write_file
from headwater.cli.session import Session, Shown, command, table
from headwater.service.accounts import Accounts
from headwater.signing.entropy import entropy_for
from headwater.signing.keystore import Keystore
from headwater.signing.password import read_password
from headwater.storage.home import open_home

app = typer.Typer(help="Make, list, import and export wallets; fund them on a devnet.", no_args_is_help=True)


def _keystore(session: Session) -> Keystore:
    return Keystore(open_home(session.config.home).keystore, session.config.keystore_kdf)


@command(app, "new")
def new(session: Session, names: Annotated[list[str], typer.Argument(help="One or more names.")]) -> Shown:
    """Make encrypted keystores (V3), one a name. A name that exists keeps its key."""
    keystore, password = _keystore(session), ask_password(session)
    known = {w.name: w for w in keystore.list()}
    entropy = entropy_for(session.config.seed)
    made = [known.get(name) or keystore.create(name, password, entropy) for name in names]
    rows = [{"name": w.name, "address": w.address} for w in made]
    return Shown({"wallets": rows}, table=table("Wallets", ("name", "address"), [(w.name, w.address) for w in made]))


@command(app, "list")
def list_wallets(session: Session) -> Shown:
    """List names and addresses; needs no password."""
    wallets = _keystore(session).list()
    rows = [{"name": w.name, "address": w.address} for w in wallets]
    return Shown(
        {"wallets": rows}, table=table("Wallets", ("name", "address"), [(w.name, w.address) for w in wallets])
    )


@command(app, "balance")
def balance(
    session: Session, names: Annotated[list[str] | None, typer.Argument(help="Wallets or addresses; all.")] = None
) -> Shown:
    """Show native coin and credits, from the chain."""
    with workbench(session) as bench:
        accounts = Accounts(bench)
        asked = names or [w.name for w in _keystore(session).list()]
        found = [(name, accounts.balance(account(bench, name))) for name in asked]
    data = [
        {"name": n, "address": b.account, "native_wei": str(b.native_wei), "credit_wei": str(b.credit_wei)}
        for n, b in found
    ]
    rows = [(n, b.account, in_credits(b.native_wei), in_credits(b.credit_wei)) for n, b in found]
    return Shown({"balances": data}, table=table("Balances", ("name", "address", "native", "credits"), rows))


@command(app, "import")
def import_wallet(
    session: Session,
    name: Annotated[str, typer.Argument(help="Name in this home.")],
    file: Annotated[Path, typer.Argument(help="V3 keystore file, or a file that holds a hexadecimal private key.")],
    file_password_file: Annotated[Path | None, typer.Option(help="File with the V3 file's own password.")] = None,
) -> Shown:
    """Take over a key from a V3 file or a private key in a file (never from an argument)."""
    keystore, password = _keystore(session), ask_password(session)
    if file.suffix == ".json":
        theirs = read_password(file_password_file) if file_password_file else password
        wallet = keystore.import_file(name, file, theirs, password)
    else:
        wallet = keystore.import_key(name, read_text(file).strip(), password)
    return Shown({"name": wallet.name, "address": wallet.address}, f"{wallet.name}  {wallet.address}")


@command(app, "export")
def export(
    session: Session,
    name: Annotated[str, typer.Argument(help="The wallet.")],
    target: Annotated[Path, typer.Argument(help="Where to write the encrypted V3 file.")],
) -> Shown:
    """Write the encrypted V3 file; the key itself never leaves its encryption."""
    write_file(target, _keystore(session).export(name), 0o600)
    return Shown({"name": name, "file": str(target)}, f"{name} is in {target}, under the home's password.")


@command(app, "fund")
def fund(
    session: Session,
    names: Annotated[list[str], typer.Argument(help="Wallets to fund.")],
    native: Annotated[str, typer.Option(help="Native coin for gas, in whole coins.")] = "10",
    credits: Annotated[str, typer.Option(help="Credits to mint.")] = "1000",
    purpose: Annotated[str, typer.Option(help="A funding of one purpose happens once.")] = "first",
) -> Shown:
    """Send native coin and mint credits from the operator's faucet (devnets only)."""
    with workbench(session) as bench:
        accounts = Accounts(bench)
        rows = []
        for name in names:
            intent = f"fund {name} {purpose}"
            balance = accounts.fund(bench.address(name), credits_to_wei(native), credits_to_wei(credits), intent)
            rows.append((name, balance.account, in_credits(balance.native_wei), in_credits(balance.credit_wei)))
    data = [
        {"name": n, "address": a, "native": native_amount, "credits": credit} for n, a, native_amount, credit in rows
    ]
    return Shown({"balances": data}, table=table("Balances", ("name", "address", "native", "credits"), rows))
