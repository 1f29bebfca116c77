"""`headwater lane`: credit between one user and one provider."""

from __future__ import annotations

from typing import Annotated, Final

import typer
from eth_utils import keccak

from headwater.cli.home import account, credits_to_wei, in_credits, workbench
from headwater.cli.session import Session, Shown, command
from headwater.errors import InvalidInput
from headwater.protocol.license import Disclosure
from headwater.service.accounts import Accounts
from headwater.service.lanes import ESCROW, Lanes
from headwater.types import address, digest, hex0x

app = typer.Typer(help="Lanes: prepaid credit for one provider, spent by vouchers.", no_args_is_help=True)

USER_BOOKS: Final = "proxy.sqlite"
LANE_SECONDS: Final = 30 * 86_400


@command(app, "open")
def open_lane(
    session: Session,
    user: Annotated[str, typer.Option(help="Wallet that pays.")],
    provider: Annotated[str, typer.Option(help="The provider's wallet or address.")],
    credits: Annotated[str, typer.Option(help="Credits to put on the lane.")] = "10",
    disclosure: Annotated[str, typer.Option(help="confidential, public or none.")] = "confidential",
    name: Annotated[str, typer.Option(help="A lane's own name; the same name is the same lane.")] = "1",
) -> Shown:
    """Deposit credits and open a lane whose session key lives in this home."""
    if disclosure.upper() not in Disclosure.__members__:
        raise InvalidInput(f"the disclosure {disclosure!r} is unknown", "use confidential, public or none")
    amount = credits_to_wei(credits)
    with workbench(session, USER_BOOKS) as bench:
        paid_to = account(bench, provider)
        nonce = keccak(text=f"lane {name} {bench.address(user)} {paid_to}")
        lane_id = digest(bench.call(ESCROW, "laneIdOf", bench.address(user), paid_to, nonce))
        key_name = f"session-{lane_id.hex()[:12]}"
        wallets = bench.signer.wallets()
        session_key = wallets[key_name] if key_name in wallets else bench.signer.create(key_name)
        if bench.call(ESCROW, "laneOf", lane_id)["status"] == 0:
            Accounts(bench).approve(user, ESCROW, amount, f"lane {name}")
            bench.send(user, ESCROW, "deposit", bench.address(user), amount, intent=f"deposit {hex0x(lane_id)}")
            expires_at = bench.chain_time() + LANE_SECONDS
            arguments = (paid_to, nonce, amount, session_key, Disclosure[disclosure.upper()].value, expires_at)
            bench.send(user, ESCROW, "openLane", *arguments, intent=f"open lane {hex0x(lane_id)}")
        Lanes(bench).remember(lane_id, "user", key_name)
    data = {"lane_id": hex0x(lane_id), "session_key": session_key, "credits": credits, "disclosure": disclosure}
    return Shown(data, f"lane {data['lane_id']}\n  {credits} credits, session key {session_key}, {disclosure}")


@command(app, "status")
def status(
    session: Session,
    lane: Annotated[str, typer.Argument(help="Lane id.")],
    side: Annotated[str, typer.Option(help="Whose books: user or provider.")] = "user",
) -> Shown:
    """Show what is allocated, answered, vouchered and redeemed."""
    with workbench(session, USER_BOOKS if side == "user" else "") as bench:
        now = Lanes(bench).status(digest(lane))
    data = {
        "lane_id": lane,
        "status": now.status,
        "user": now.terms.user,
        "provider": now.terms.provider,
        "allocated_wei": str(now.terms.allocated_wei),
        "answered_wei": str(now.position.cumulative_wei),
        "vouchered_wei": str(now.vouchered_wei),
        "redeemed_wei": str(now.redeemed_wei),
        "receipts": now.position.sequence,
    }
    text = "\n".join(f"{k:<16} {v}" for k, v in data.items())
    return Shown(data, text)


@command(app, "redeem")
def redeem(
    session: Session,
    lane: Annotated[str, typer.Argument(help="Lane id.")],
    wallet: Annotated[str, typer.Option(help="Wallet that sends the transaction.")] = "provider",
) -> Shown:
    """Turn the lane's last voucher into money on the ledger."""
    with workbench(session) as bench:
        moved = Lanes(bench).redeem(wallet, digest(lane))
    return Shown({"lane_id": lane, "redeemed_wei": str(moved)}, f"{in_credits(moved)} credits moved to the ledger")


@command(app, "close")
def close(
    session: Session,
    lane: Annotated[str, typer.Argument(help="Lane id.")],
    wallet: Annotated[str, typer.Option(help="The user's or the provider's wallet.")],
) -> Shown:
    """Ask for the close; called again after the close delay, return the rest to the user."""
    with workbench(session) as bench:
        lane_id = digest(lane)
        facts = bench.call(ESCROW, "laneOf", lane_id)
        if facts["status"] == 1:
            bench.send(wallet, ESCROW, "requestClose", lane_id, intent=f"request close {lane}")
        elif facts["status"] == 2 and bench.chain_time() >= facts["closingAt"]:
            bench.send(wallet, ESCROW, "close", lane_id, intent=f"close {lane}")
        facts = bench.call(ESCROW, "laneOf", lane_id)
        user = address(facts["user"])
    data = {"lane_id": lane, "user": user, "status": facts["status"], "closing_at": facts["closingAt"]}
    words = {2: f"closing; vouchers stay redeemable until {facts['closingAt']}", 3: "closed"}
    return Shown(data, f"lane {lane} is {words.get(facts['status'], 'open')}")
