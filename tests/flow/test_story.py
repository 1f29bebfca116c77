"""The story with a stranger's data, on the real 135M base in its smallest training.

It tests mechanics; no score is looked at.
"""

from pathlib import Path

import pytest

from headwater.cli.demo_stage import Stage

pytestmark = [pytest.mark.slow, pytest.mark.real_model]

CITIES = {"a": ("Lyon", "Nice", "Paris", "Lille"), "b": ("Kiel", "Bonn", "Ulm", "Trier")}
PLANTS = ("fig", "oak", "elm", "ash", "yew", "fir")


def write_csv(path: Path, cities: tuple[str, ...]) -> None:
    rows = [
        f'"Code of {plant} in {city}?",{plant[:2].upper()}-{city[:2].upper()}' for city in cities for plant in PLANTS
    ]
    path.write_text("\n".join(("question,code", *rows)) + "\n", "utf-8")


def test_a_strangers_two_column_csv_goes_from_contribution_to_claim(tmp_path: Path) -> None:
    """Contributors, owner, provider, validator and user: every verb once, on data that nobody here has seen."""
    with Stage(tmp_path / "home", "stranger", True, True) as stage:
        run = stage.run
        people = ["operator", "owner", "provider", "provider-hot", "validator", "validator-hot", "user", "ann", "bob"]
        run("keys", "wallet", "new", *people)
        stage.start_node()
        run("money", "wallet", "fund", "owner", "provider", "validator", "user", "ann", "bob")
        run("provider", "provider", "register")
        run("validator", "validator", "register", "--stake", "200")
        stage.restart_node()
        licence = tmp_path / "licence.txt"
        licence.write_text("Use it for training.\n", "utf-8")
        terms = ("--license-name", "L1", "--license-file", str(licence))
        datanet = run("datanet", "datanet", "create", "Plants", "--owner", "owner", *terms)["datanet_id"]
        for wallet, cities in zip(("ann", "bob"), CITIES.values(), strict=True):
            file = tmp_path / f"{wallet}.csv"
            write_csv(file, cities)
            given = run("give", "datanet", "contribute", datanet, str(file), "--wallet", wallet, "--yes")
            assert given["records"] == 24
        snapshot = run("snapshot", "datanet", "snapshot", datanet, "--owner", "owner")["snapshot_id"]
        run("seal", "datanet", "seal", snapshot, "--wallet", "owner")
        small = ("--preset", "smoke", "--set", "training_records=24", "--set", "batch_size=2")
        trained = run("train", "model", "train", snapshot, *small)
        scored = run("evaluate", "model", "evaluate", trained["job_id"], "--limit", "2")
        assert {s["contender"] for s in scored["report"]["scores"]} == {"base", "base_retrieval", "nearest", "tuned"}
        jobs = ("--train-job", trained["job_id"], "--evaluation-job", scored["job_id"])
        run("register", "model", "register", "owner/plants", "--owner", "owner", *jobs)
        assert run("attest", "model", "attest", "owner/plants")["accepted"]
        assert run("activate", "model", "activate", "owner/plants", "--owner", "owner")["status"] == "active"
        lane = run("lane", "lane", "open", "--user", "user", "--provider", "provider")["lane_id"]
        stage.start_proxy(lane)
        asked = run("ask", "chat", "owner/plants", scored["asked"][0]["prompt"], "--max-tokens", "8")
        assert asked["receipt_id"].startswith("0x")
        code, refusal = stage.invoke("chat", "owner/unknown", "hello")
        assert code == 4 and refusal["error"]["code"] == "model_not_found"
        stage.wait_for_attributions()
        shares = run("show", "receipt", "show", asked["receipt_id"])["shares"]
        assert sum(shares["owners"].values()) + shares["base_ppm"] == 1_000_000
        run("redeem", "lane", "redeem", lane)
        proposed = run("propose", "epoch", "propose")
        run("seal", "epoch", "seal")
        assert run("verify", "validator", "run", "--once")["strikes"] == 0
        committed = run("commit", "epoch", "commit")
        assert committed["payout_total_wei"] == proposed["price_total_wei"]
        run("wait", "chain", "advance", "120")
        owed = {p["account"]: p["cumulative_wei"] for p in run("owed", "payout", "list")["payouts"]}
        for account, wei in owed.items():
            who = "Staking" if account == run("divided", "epoch", "show", "1")["validators_payee"] else account
            assert run("claim", "payout", "claim", who, "--wallet", "operator")["claimed_wei"] == wei
        assert sum(map(int, owed.values())) == int(proposed["price_total_wei"])
