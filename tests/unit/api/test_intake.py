"""Intake over HTTP: strict documents in, the service's answer out. What the service does is tested with it."""

from __future__ import annotations

from typing import Any

import pytest

from headwater.api.intake import IntakeApi, SignedContribution, SignedWithdrawal
from headwater.datanets.batches import prepare_batch
from headwater.errors import BadRecord, BadSignature, Expired, NotFound
from headwater.protocol.contribution import Record, Withdrawal
from headwater.protocol.license import License
from headwater.service.datanets import DatanetCard
from headwater.signing.entropy import SeededEntropy
from headwater.testing import examples
from headwater.types import ZERO_DIGEST, Digest, hex0x

PREPARED = prepare_batch(
    [Record("p", "a")], examples.DATANET, examples.account("alice"), examples.TERMS, SeededEntropy("s"), 9
)
SIGNED = SignedContribution(PREPARED.contribution, examples.sign("alice", PREPARED.contribution, examples.LOG))
NAME = PREPARED.contribution.signing_digest(examples.LOG)
LEAVING = Withdrawal(examples.DATANET, examples.account("alice"), NAME, ZERO_DIGEST, 9)
LEFT = SignedWithdrawal(LEAVING, examples.sign("alice", LEAVING, examples.LOG))


class RecordingDatanets:
    """Remembers what it was given; raises what it is told to."""

    def __init__(self) -> None:
        self.given: list[tuple[Any, ...]] = []
        self.raises: Exception | None = None

    def _take(self, *given: Any) -> None:
        if self.raises is not None:
            raise self.raises
        self.given.append(given)

    def list(self) -> tuple[DatanetCard, ...]:
        return (DatanetCard(examples.DATANET, "Drugs", examples.account("owner"), examples.TERMS.digest(), 2, 30),)

    def terms(self, datanet_id: Digest) -> License:
        self._take(datanet_id)
        return examples.TERMS

    def anchor(self, *given: Any) -> Digest:
        self._take(*given)
        return NAME

    def deliver(self, *given: Any) -> str:
        self._take(*given)
        return "bafy"

    def withdraw(self, *given: Any) -> None:
        self._take(*given)


@pytest.fixture
def datanets() -> RecordingDatanets:
    return RecordingDatanets()


@pytest.fixture
async def client(with_routes: Any, datanets: RecordingDatanets) -> Any:
    return await with_routes(IntakeApi(datanets).routes())  # type: ignore[arg-type]


async def test_datanets_are_listed_and_their_terms_read(client: Any, datanets: RecordingDatanets) -> None:
    (row,) = (await (await client.get("/api/datanets")).json())["datanets"]
    assert (row["datanet_id"], row["name"], row["records"]) == (hex0x(examples.DATANET), "Drugs", 30)
    answer = await client.get(f"/api/datanets/{hex0x(examples.DATANET)}/terms")
    assert License.from_json(await answer.json()) == examples.TERMS
    assert datanets.given == [(examples.DATANET,)]


async def test_the_three_steps_pass_on_what_was_signed(client: Any, datanets: RecordingDatanets) -> None:
    anchored = await client.post("/api/contributions", data=SIGNED.canonical_bytes())
    assert await anchored.json() == {"contribution_id": hex0x(NAME), "state": "anchored"}
    path = f"/api/contributions/{hex0x(NAME)}/content"
    delivered = await client.post(path, data=PREPARED.batch.canonical_bytes())
    assert await delivered.json() == {"contribution_id": hex0x(NAME), "state": "delivered", "bundle_cid": "bafy"}
    withdrawn = await client.post("/api/withdrawals", data=LEFT.canonical_bytes())
    assert await withdrawn.json() == {"contribution_id": hex0x(NAME), "state": "withdrawn"}
    assert datanets.given == [
        (PREPARED.contribution, SIGNED.signature),
        (NAME, PREPARED.batch),
        (LEAVING, LEFT.signature),
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b"[" * 100_000,
        SIGNED.canonical_bytes()[:-1],
        SIGNED.canonical_bytes().replace(b'"record_count":1', b'"record_count":NaN'),
        SIGNED.canonical_bytes().replace(b'"record_count":1', b'"record_count":1.0'),
        SIGNED.canonical_bytes().replace(b'"record_count":1', b'"record_count":"1"'),
        SIGNED.canonical_bytes().replace(b'"record_count":1', b'"record_count":4294967296'),
        SIGNED.canonical_bytes().replace(b'"record_count":1', b'"record_count":1,"record_count":2'),
        SIGNED.canonical_bytes().replace(b'"record_count":1', b'"record_count":1,"note":""'),
        SIGNED.canonical_bytes().replace(b'"record_count":1,', b""),
        SIGNED.canonical_bytes().replace(b'"signature":"0x', b'"signature":"'),
    ],
)
async def test_a_contribution_of_the_wrong_shape_is_refused(
    client: Any, datanets: RecordingDatanets, body: bytes
) -> None:
    assert (await client.post("/api/contributions", data=body)).status == 400
    assert (await client.post("/api/withdrawals", data=body)).status == 400
    assert datanets.given == []


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ((b'"prompt":"p"', b'"prompt":""'), "prompt is empty"),
        ((b'"prompt":"p"', b'"prompt":7'), "must be str"),
        ((b'"prompt":"p"', b'"prompt":"p","prompt":"q"'), "twice"),
        ((b'"prompt":"p"', b'"prompt":"' + b"p" * 9_000 + b'"'), "the limit is 8,192"),
        ((b'"prompt":"p"', b'"prompt":"\\ud800"'), "surrogate"),
        ((b'"prompt":"p"', b'"prompt":"\xff"'), "UTF-8"),
        ((b'"salt":"0x', b'"salt":"0x00'), "32 bytes"),
    ],
)
async def test_a_record_of_the_wrong_shape_is_refused(
    client: Any, datanets: RecordingDatanets, change: tuple[bytes, bytes], word: str
) -> None:
    body = PREPARED.batch.canonical_bytes()
    assert change[0] in body
    answer = await client.post(f"/api/contributions/{hex0x(NAME)}/content", data=body.replace(*change))
    assert answer.status == 400
    assert word in (await answer.json())["error"]["message"]
    assert datanets.given == []


@pytest.mark.parametrize(
    ("error", "status"),
    [(BadSignature("s", "n"), 401), (Expired("e", "n"), 403), (BadRecord("r", "n"), 400), (NotFound("f", "n"), 404)],
)
async def test_the_services_refusals_have_their_status(
    client: Any, datanets: RecordingDatanets, error: Exception, status: int
) -> None:
    datanets.raises = error
    assert (await client.post("/api/contributions", data=SIGNED.canonical_bytes())).status == status


async def test_names_in_the_path_are_digests(client: Any) -> None:
    assert (await client.get("/api/datanets/zz/terms")).status == 400
    content = await client.post("/api/contributions/0x12/content", data=PREPARED.batch.canonical_bytes())
    assert content.status == 400
