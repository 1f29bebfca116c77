"""The demo's eighth chapter: an epoch, its verification, and money that moves.

In: the stage, the lane, what was answered. Out: payouts in the story, and checks that everything adds up to the wei.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headwater.cli.demo_data import Slice
from headwater.cli.demo_stage import Stage
from headwater.cli.demo_story_types import Story
from headwater.cli.home import in_credits


def settle(stage: Stage, lane_id: str, data: Sequence[Slice], story: Story) -> None:
    stage.chapter("8. An epoch, its verification, and money")
    stage.run("The provider redeems its last voucher", "lane", "redeem", lane_id)
    proposed = stage.run("The validator in turn freezes what is due", "epoch", "propose")
    stage.run("The block after the proposal fixes the draw", "epoch", "seal")
    stage.say("  one operator's chain: no independent beacon")
    checked = stage.run("The validator re-executes every drawn attribution, and signs", "validator", "run", "--once")
    stage.say(f"  {checked['drawn']} of {checked['receipts']} recomputed, {checked['largest_error_ppm']} ppm apart")
    committed = stage.run("The quorum's signature goes on chain", "epoch", "commit")
    window = committed["final_at"] - committed["committed_at"]
    stage.say(f"\nThe challenge window lasts {window} seconds. On this devnet the clock is advanced through it.")
    stage.run("(a production chain would wait)", "chain", "advance", str(window))
    story.epoch = {
        "id": committed["epoch_id"],
        "root": committed["payout_root"],
        "digest": committed["digest"],
        "total_wei": committed["payout_total_wei"],
    }
    story.checks["no attribution was struck"] = checked["strikes"] == 0
    divided = stage.run("How every price was divided", "epoch", "show", str(committed["epoch_id"]))
    _show_division(stage, proposed, divided, story)
    _claim(stage, data, divided, story)


def _show_division(stage: Stage, proposed: dict[str, Any], divided: dict[str, Any], story: Story) -> None:
    story.payouts = [{"account": p["account"], "role": p["role"], "wei": p["wei"]} for p in divided["parts"]]
    by_role: dict[str, int] = {}
    for part in story.payouts:
        by_role[part["role"]] = by_role.get(part["role"], 0) + int(part["wei"])
    for role, wei in by_role.items():
        stage.say(f"  {role.replace('_', ' '):<24}{in_credits(wei):>28}")
    prices, parts = int(proposed["price_total_wei"]), sum(by_role.values())
    story.conservation_ok = prices == parts == int(divided["payout_total_wei"])
    stage.say(f"  prices {prices} wei = all parts {parts} wei: {'yes' if story.conservation_ok else 'NO'}")
    story.checks["prices equal all their parts, to the wei"] = story.conservation_ok


def _claim(stage: Stage, data: Sequence[Slice], divided: dict[str, Any], story: Story) -> None:
    """Everybody's claim; then a table: contributor, records, influence, earned, claimed, as the balances say."""
    people = [part.wallet for s in data for part in s.parts]
    before = _credits(stage.once("balances before the claims", lambda: stage.invoke("wallet", "balance", *people)[1]))
    claimed = {}
    for account in sorted(divided["payouts"]):
        who = "Staking" if account == divided["validators_payee"] else account
        why = "Anybody may claim for anybody; the money goes to the account"
        claimed[account] = stage.run(why, "payout", "claim", who, "--wallet", "operator")["claimed_wei"]
        stage.say(f"  {in_credits(int(claimed[account]))} credits to {who}")
    stage.run("The validator takes its part of the fees", "payout", "withdraw-credit", "validator")
    story.checks["everything owed was claimed"] = claimed == divided["payouts"]
    after = stage.run("Balances have moved", "wallet", "balance", *people)
    moved = {account: wei - before[account] for account, wei in _credits(after).items()}
    earned = {account: int(divided["payouts"].get(account, 0)) for account in moved}
    story.checks["every contributor's balance rose by what it earned"] = moved == earned
    _table(stage, data, {b["name"]: b["address"] for b in after["balances"]}, earned, moved, story)


def _credits(shown: dict[str, Any]) -> dict[str, int]:
    return {b["address"]: int(b["credit_wei"]) for b in shown["balances"]}


def _table(
    stage: Stage,
    data: Sequence[Slice],
    accounts: dict[str, str],
    earned: dict[str, int],
    moved: dict[str, int],
    story: Story,
) -> None:
    shares: dict[str, int] = {}
    for answer in story.answers:
        for account, ppm in answer["shares"]["owners"].items():
            shares[account] = shares.get(account, 0) + ppm
    stage.say(f"\n  {'contributor':<24}{'records':>8}{'influence':>11}{'earned':>24}{'claimed':>24}")
    for part in (p for s in data for p in s.parts):
        account = accounts[part.wallet]
        influence = shares.get(account, 0) / len(story.answers) / 10_000
        won, got = in_credits(earned[account]), in_credits(moved[account])
        stage.say(f"  {part.wallet:<24}{len(part.rows):>8}{influence:>10.1f}%{won:>24}{got:>24}")
