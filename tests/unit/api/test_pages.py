"""Every page and form: who may send it, what it says when something is wrong, and that all it shows stays text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert

from headwater.api.app import build_app
from headwater.api.auth import COOKIE
from headwater.errors import JobFailed
from headwater.modelfactory.recipe import make_recipe, preset
from headwater.protocol.recipe import ComputeType
from headwater.service.node import Node
from headwater.service.receipt_rows import PrivateAnswer, ReceiptRows
from headwater.storage.schema import job_events, jobs, lanes, models
from headwater.testing import examples
from headwater.testing.tiny_node import scripted_evaluation, sealed_snapshot, tiny_node
from headwater.types import digest, hex0x

HOSTILE = "<script>alert('x')</script>"
ANSWER = examples.answered()
SIGNED = examples.attributed(ANSWER)
RECEIPT = hex0x(ANSWER.receipt.request_id)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node whose jobs only wait: each test says what has become of them."""
    with tiny_node(tmp_path_factory.mktemp("home")) as made:
        sealed_snapshot(made.bench, HOSTILE)
        yield made


@pytest.fixture(autouse=True)
def clean(node: Node) -> None:
    for table in (job_events, jobs, models):
        node.bench.database.write(lambda c, table=table: c.execute(delete(table)))


@pytest.fixture
async def client(serve: Any, node: Node) -> Any:
    return await serve(build_app(node))


@pytest.fixture
def cookie(node: Node) -> dict[str, str]:
    return {"Cookie": f"{COOKIE}={node.token}"}


class Jobs:
    """Jobs that have become this or that."""

    def __init__(self, node: Node) -> None:
        self.rows = node.jobs.rows
        (label,) = (s for s in _snapshots(node) if "Plants" in s.label)
        self.snapshot = label.snapshot_id
        self.recipe = make_recipe(
            preset("smoke"),
            base_digest=examples.word("base"),
            snapshot_ids=(digest(self.snapshot),),
            seed=examples.word("seed"),
            compute_type=ComputeType.FLOAT32,
        )

    def train(self) -> str:
        return self.rows.submit(
            "train", {"snapshot_ids": [self.snapshot], "base": "b", "preset": "smoke", "changes": {}}
        )

    def trained(self) -> str:
        job_id = self.train()
        outcome = {"adapter_digest": hex0x(examples.word("adapter")), "steps": 25}
        self.rows.done(job_id, {"outcome": outcome, "tokens_per_second": 1_234})
        return job_id

    def evaluated(self) -> str:
        job_id = self.rows.submit("evaluate", {"train_job": self.trained(), "limit": 0})
        self.rows.done(job_id, scripted_evaluation(self.recipe))
        return job_id


def _snapshots(node: Node) -> Any:
    from headwater.service.snapshot_rows import sealed_snapshots

    return sealed_snapshots(node.bench, node.datanets)


@pytest.fixture
def made(node: Node) -> Jobs:
    return Jobs(node)


async def text_of(answer: Any) -> str:
    """What a reader sees: no tags, one space between words."""
    html = await answer.text()
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)))


def require_policy(answer: Any) -> None:
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    # With `no-referrer` browsers send `Origin: null` with our own forms, which are then refused.
    assert answer.headers["Referrer-Policy"] == "same-origin"


PAGES = ("/", "/train", "/static/headwater.css", "/static/job.js", "/static/favicon.svg")
FORMS = ("/train", "/jobs/x/again", "/jobs/x/evaluate", "/jobs/x/deploy")


# -- who may look, who may send ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*PAGES, "/jobs/none", "/nothing", "/receipts/0x12", "/static/../x"])
async def test_every_page_and_error_comes_under_the_policy(client: Any, path: str) -> None:
    require_policy(await client.get(path))


@pytest.mark.parametrize("path", PAGES)
async def test_looking_needs_no_token(client: Any, path: str) -> None:
    assert (await client.get(path)).status == 200


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("headers", [{}, {"Cookie": f"{COOKIE}=wrong"}, {"Authorization": "Bearer wrong"}])
async def test_no_form_does_anything_without_the_token(
    client: Any, node: Node, path: str, headers: dict[str, str]
) -> None:
    answer = await client.post(path, headers=headers, data={"preset": "smoke"}, allow_redirects=False)
    assert answer.status == 403
    assert "?token=" in await answer.text()
    assert node.jobs.rows.all() == ()


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:9", "http://localhost:3000"])
async def test_a_form_of_another_page_is_refused_though_the_browser_adds_the_cookie(
    client: Any, node: Node, cookie: dict[str, str], path: str, origin: str
) -> None:
    """Also one of another port of this machine: browsers send a cookie to every port."""
    answer = await client.post(path, headers=cookie | {"Origin": origin}, allow_redirects=False)
    assert answer.status == 403
    assert node.jobs.rows.all() == ()


@pytest.mark.parametrize("path", [*PAGES, "/jobs/x", "/receipts/x"])
async def test_a_foreign_host_sees_nothing(client: Any, path: str) -> None:
    answer = await client.get(path, headers={"Host": "evil.example"})
    assert answer.status == 403
    assert "Plants" not in await answer.text()


async def test_the_token_is_brought_once_and_leaves_the_address(client: Any, node: Node, made: Jobs) -> None:
    answer = await client.get("/train", params={"from": made.train(), "token": node.token}, allow_redirects=False)
    assert answer.status == 303
    assert "token" not in answer.headers["Location"] and "from=" in answer.headers["Location"]
    kept = answer.headers["Set-Cookie"]
    assert "HttpOnly" in kept and "SameSite=Strict" in kept and node.token in kept


@pytest.mark.parametrize("token", ["wrong", "", "ü", "\udcff"])
async def test_a_wrong_token_is_told_and_not_kept(client: Any, token: str) -> None:
    answer = await client.get("/train", params={"token": token.encode("utf-8", "replace").decode()})
    assert answer.status == 403
    assert "Set-Cookie" not in answer.headers
    assert "not the token of this node" in await answer.text()


# -- what is not there -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/jobs/none", 404, "no job none is here"),
        ("/train?from=none", 404, "no job none is here"),
        (f"/receipts/{hex0x(examples.word('none'))}", 404, "next:"),
        ("/receipts/0x12", 400, "next:"),
        ("/nothing", 404, "begin at the overview"),
        ("/static/secret.txt", 404, "begin at the overview"),
        ("/jobs/x/deploy", 405, "next:"),
    ],
)
async def test_what_is_not_there_is_a_page_with_cause_and_next_step(
    client: Any, path: str, status: int, words: str
) -> None:
    answer = await client.get(path)
    assert (answer.status, answer.content_type) == (status, "text/html")
    text = await text_of(answer)
    assert words in text.lower() and "Next:" in text


@pytest.mark.parametrize("action", ["again", "evaluate", "deploy"])
async def test_a_form_about_an_unknown_job_is_404(client: Any, cookie: dict[str, str], action: str) -> None:
    assert (await client.post(f"/jobs/none/{action}", headers=cookie)).status == 404


# -- what it shows -----------------------------------------------------------------------------------------------


async def test_empty_tables_teach_the_next_step(client: Any) -> None:
    text = await text_of(await client.get("/"))
    for words in ("Train one", "Start the first one", "headwater lane open", "headwater epoch propose"):
        assert words in text


async def test_a_hostile_datanets_name_stays_text(client: Any) -> None:
    for path in ("/", "/train"):
        html = await (await client.get(path)).text()
        assert "alert(" in html, "the name must be shown, or this test proves nothing"
        assert "<script>alert" not in html


async def test_a_hostile_models_name_or_job_stays_text(client: Any, node: Node, made: Jobs) -> None:
    from headwater.testing.serving import served_models

    version = served_models()[1].version
    assert version is not None
    node.models.add(f"a/{HOSTILE}", version, Path("/x"))
    bad = made.rows.submit("train", {"preset": HOSTILE})
    made.rows.failed(bad, JobFailed(HOSTILE, "run it again", log_tail=[HOSTILE]))
    deploy = made.rows.submit("deploy", {"name": HOSTILE})
    made.rows.report(deploy, {"step": "register", "state": HOSTILE, "words": HOSTILE})
    for path in ("/", f"/jobs/{bad}", f"/jobs/{deploy}", f"/train?from={bad}"):
        answer = await client.get(path)
        assert answer.status == 200
        assert "<script>alert" not in await answer.text()


@pytest.mark.parametrize("kind", ["train", "evaluate", "deploy", "unheard-of"])
async def test_a_job_of_any_shape_has_a_page(client: Any, made: Jobs, kind: str) -> None:
    """The API takes any request; its page must not break on it."""
    job_id = made.rows.submit(kind, {"name": "x"} if kind == "deploy" else {})
    assert (await client.get(f"/jobs/{job_id}")).status == 200


async def test_a_receipt_shows_owners_and_base_and_nothing_private(client: Any, node: Node) -> None:
    database = node.bench.database
    lane = {"lane_id": hex0x(ANSWER.terms.lane_id), "role": "provider", "document": "{}", "state": "open"}
    database.write(lambda c: c.execute(insert(lanes).values(lane)))
    rows = ReceiptRows(database, node.home.path)
    rows.draft(ANSWER.receipt, PrivateAnswer(ANSWER.request, ANSWER.response, ANSWER.nonce, (1, 2)))
    rows.signed(ANSWER.receipt, ANSWER.signature)
    assert "being made" in await text_of(await client.get(f"/receipts/{RECEIPT}"))
    rows.attributed(ANSWER.receipt, SIGNED.attribution, SIGNED.attribution_signature, SIGNED.body)
    for path in (f"/receipts/{RECEIPT}", f"/receipts/chatcmpl-{RECEIPT}"):
        text = await text_of(await client.get(path))
        assert "50.0 %" in text and "20.0 %" in text and "30.0 %" in text
        for secret in ("T36.0X1A", "Poisoning", ANSWER.nonce.hex()):
            assert secret not in text
    assert RECEIPT[:8] in await (await client.get("/")).text()


# -- the form of a training --------------------------------------------------------------------------------------


def form(made: Jobs, **changes: str) -> dict[str, str]:
    base = {"base": "SmolLM2-135M-Instruct", "snapshot": made.snapshot, "preset": "smoke", "data_split": "random"}
    return {**base, "epochs": "5", "training_records": "18", "rank": "", **changes}


async def test_the_form_starts_the_training_that_it_describes(
    client: Any, node: Node, made: Jobs, cookie: dict[str, str]
) -> None:
    origin = {"Origin": f"http://{client.host}:{client.port}"}
    answer = await client.post("/train", headers=cookie | origin, data=form(made), allow_redirects=False)
    (row,) = node.jobs.rows.all()
    assert (answer.status, answer.headers["Location"]) == (303, f"/jobs/{row.job_id}")
    assert (row.kind, dict(row.request)) == (
        "train",
        {
            "snapshot_ids": [made.snapshot],
            "base": "SmolLM2-135M-Instruct",
            "preset": "smoke",
            "changes": {"epochs": 5, "training_records": 18},
            "data_split": "random",
        },
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"epochs": "x"}, "epochs must be a whole number"),
        ({"rank": "-1"}, "rank must be a whole number"),
        ({"training_records": "9" * 30}, "training records must be a whole number"),
        ({"epochs": "٣"}, "epochs must be a whole number"),
        ({"preset": "best"}, "no preset is called 'best'"),
        ({"base": "gpt"}, "no base model is called 'gpt'"),
        ({"snapshot": "0x" + "11" * 32}, "no sealed snapshot"),
        ({"snapshot": HOSTILE}, "no sealed snapshot"),
        ({"data_split": "mine"}, "no way 'mine'"),
    ],
)
async def test_a_refused_form_comes_back_as_it_was_filled_in(
    client: Any, node: Node, made: Jobs, cookie: dict[str, str], change: dict[str, str], words: str
) -> None:
    answer = await client.post("/train", headers=cookie, data=form(made, epochs="7") | change)
    assert answer.status in (400, 404)
    html = await answer.text()
    assert words.lower() in unescape(html).lower() and "Next:" in html
    kept = {"epochs": "7", **{k: v for k, v in change.items() if k in ("epochs", "rank", "training_records")}}
    for name, value in kept.items():
        assert f'name="{name}" value="{value}"' in html
    assert node.jobs.rows.all() == ()


async def test_a_training_that_failed_says_why_and_can_run_again_or_be_changed(
    client: Any, node: Node, made: Jobs, cookie: dict[str, str]
) -> None:
    job_id = made.train()
    made.rows.failed(job_id, JobFailed("the trainer was killed by signal 9", "run it again", log_tail=["step 7"]))
    text = await text_of(await client.get(f"/jobs/{job_id}"))
    assert "The trainer was killed by signal 9; run it again." in text and "step 7" in text
    assert made.snapshot in await (await client.get(f"/train?from={job_id}")).text()
    await client.post(f"/jobs/{job_id}/again", headers=cookie)
    assert node.jobs.rows.get(job_id).state == "queued"


async def test_a_waiting_job_says_how_many_are_before_it(client: Any, made: Jobs) -> None:
    made.train()
    second = made.rows.submit("train", {"n": 2})
    assert "waits for 1 job before it" in await text_of(await client.get(f"/jobs/{second}"))


# -- evaluation and deployment -----------------------------------------------------------------------------------


async def test_only_a_finished_training_can_be_evaluated(client: Any, made: Jobs, cookie: dict[str, str]) -> None:
    unfinished = made.train()
    assert (await client.post(f"/jobs/{unfinished}/evaluate", headers=cookie)).status == 400
    answer = await client.post(f"/jobs/{made.trained()}/evaluate", headers=cookie, allow_redirects=False)
    assert answer.status == 303
    assert (await client.post(f"/jobs/{made.evaluated()}/evaluate", headers=cookie)).status == 404


async def test_an_evaluation_shows_every_contender_and_offers_what_the_command_would(client: Any, made: Jobs) -> None:
    html = await (await client.get(f"/jobs/{made.evaluated()}")).text()
    for words in ("this model", "nearest neighbour", "rule written by an expert", "not independent"):
        assert words in html
    assert 'name="name" value="model-owner/plants"' in html
    assert 'name="price" value="1"' in html
    assert re.search(r'<option value="model-owner" selected>', html)
    assert "validator-hot" not in html


async def test_the_form_of_a_deployment_starts_it(
    client: Any, node: Node, made: Jobs, cookie: dict[str, str]
) -> None:
    evaluation = made.evaluated()
    filled = {"name": " model-owner/plants ", "owner": "model-owner", "price": "0.25"}
    answer = await client.post(f"/jobs/{evaluation}/deploy", headers=cookie, data=filled, allow_redirects=False)
    assert answer.status == 303
    row = node.jobs.rows.get(answer.headers["Location"].rsplit("/", 1)[1])
    assert (row.kind, dict(row.request)) == (
        "deploy",
        {
            "name": "model-owner/plants",
            "owner": "model-owner",
            "price_per_thousand_tokens_wei": str(25 * 10**16),
            "train_job": made.trained(),
            "evaluation_job": evaluation,
        },
    )
    text = await text_of(await client.get(f"/jobs/{row.job_id}"))
    assert text.count("waiting") == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "no slash"}, "cannot be a name"),
        ({"name": HOSTILE}, "cannot be a name"),
        ({"name": ""}, "cannot be a name"),
        ({"price": "-1"}, "is not an amount of credits"),
        ({"price": "1e3"}, "is not an amount of credits"),
        ({"price": ""}, "is not an amount of credits"),
        ({"price": "9" * 30}, "beyond what the chain can hold"),
        ({"owner": "nobody"}, "no wallet 'nobody'"),
        ({"owner": "../x"}, "Next:"),
    ],
)
async def test_a_refused_deployment_comes_back_as_it_was_filled_in(
    client: Any, node: Node, made: Jobs, cookie: dict[str, str], change: dict[str, str], words: str
) -> None:
    evaluation = made.evaluated()
    filled = {"name": "model-owner/mine", "owner": "alice", "price": "0.125"} | change
    answer = await client.post(f"/jobs/{evaluation}/deploy", headers=cookie, data=filled)
    assert answer.status in (400, 404)
    html = await answer.text()
    assert words in unescape(html) and "Next:" in html and "<script>alert" not in html
    for name in ("name", "price"):
        assert f'name="{name}" value="{filled[name]}"' in unescape(html)
    assert [r.kind for r in node.jobs.rows.all()] == ["train", "evaluate"]


async def test_a_deployment_that_failed_shows_its_steps_and_resumes(
    client: Any, node: Node, made: Jobs, cookie: dict[str, str]
) -> None:
    evaluation = made.evaluated()
    filled = {"name": "model-owner/plants", "owner": "alice", "price": "3"}
    await client.post(f"/jobs/{evaluation}/deploy", headers=cookie, data=filled, allow_redirects=False)
    job_id = node.jobs.rows.all()[-1].job_id
    made.rows.report(job_id, {"step": "register", "state": "done", "words": "version 1"})
    made.rows.report(job_id, {"step": "attest", "state": "failed", "words": "nobody is there"})
    made.rows.failed(job_id, JobFailed("this home has no validator", "ask one, then resume"))
    text = await text_of(await client.get(f"/jobs/{job_id}"))
    assert "version 1" in text and "nobody is there" in text and "Resume" in text
    again = await (await client.get(f"/jobs/{evaluation}")).text()
    assert 'name="price" value="3"' in again and re.search(r'value="alice" selected', again)
    await client.post(f"/jobs/{job_id}/again", headers=cookie)
    assert node.jobs.rows.get(job_id).state == "queued"


async def test_a_deployed_model_says_how_it_is_asked(client: Any, made: Jobs) -> None:
    evaluation = made.evaluated()
    order = {"name": "a/b", "owner": "alice", "train_job": made.trained(), "evaluation_job": evaluation}
    job_id = made.rows.submit("deploy", {**order, "price_per_thousand_tokens_wei": "1"})
    result = {"name": "a/b", "status": "active", "version": 1, "model_id": hex0x(examples.word("m"))}
    made.rows.done(job_id, {**result, "certificate": "uncertified", "independent": False, "attesters": 1})
    text = await text_of(await client.get(f"/jobs/{job_id}"))
    assert "a/b is active" in text and "not independent" in text and "headwater provider register" in text
    assert "a/b" in await text_of(await client.get(f"/jobs/{evaluation}"))
