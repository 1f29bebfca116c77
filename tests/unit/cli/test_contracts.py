"""`headwater contracts` without a chain: interfaces, storage, gas, and a verifier on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from headwater.chain.contracts import DeployedContracts, shipped_artifacts
from headwater.service.workbench import contracts_path
from headwater.storage.home import open_home
from headwater.types import address

ROOT = Path(__file__).resolve().parents[3]
WHERE = address("0x" + "22" * 20)


def test_abi_and_storage_are_the_artefacts(run: Any) -> None:
    document = shipped_artifacts()["CreditEscrow"].document
    assert run("contracts", "abi", "CreditEscrow", "--json").json["abi"] == document["abi"]
    told = run("contracts", "storage", "CreditEscrow", "--json").json
    assert [v["label"] for v in told["storage"]] == [v["label"] for v in document["storageLayout"]["storage"]]
    assert {"freeOf", "_lanes"} <= {v["label"] for v in told["storage"]}
    assert "freeOf" in run("contracts", "storage", "CreditEscrow").out


@pytest.mark.parametrize("verb", ["abi", "storage"])
def test_an_unknown_contract_is_named(run: Any, verb: str) -> None:
    done = run("contracts", verb, "Nonsense", "--json")
    assert done.code != 0 and "no contract Nonsense" in done.error["cause"]


def test_gas_is_the_snapshot_and_the_page_is_what_the_command_writes(run: Any) -> None:
    measured = json.loads((ROOT / "tests/gas/snapshot.json").read_text("utf-8"))
    copy_it = "cp tests/gas/snapshot.json node/headwater/bench/gas.json, and write docs/GAS.md again"
    assert run("contracts", "gas", "--json").json["gas"] == measured, copy_it
    assert run("contracts", "gas", "--page").out.strip() == (ROOT / "docs/GAS.md").read_text("utf-8").strip(), copy_it
    assert f"{measured['propose']:,}" in run("contracts", "gas").out


# -- verify --------------------------------------------------------------------------------------------------------


class Verifier(ThreadingHTTPServer):
    """As much of Sourcify's API as the command uses; `match` is what it will say."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.match: str | None = "exact_match"
        self.refusal: dict[str, str] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answers(BaseHTTPRequestHandler):
    server: Verifier

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, body))
        self._say(409, self.server.refusal) if self.server.refusal else self._say(202, {"verificationId": "job-1"})

    def do_GET(self) -> None:
        assert self.path == "/v2/verify/job-1"
        error = None if self.server.match else {"message": "no match"}
        self._say(200, {"isJobCompleted": True, "contract": {"match": self.server.match}, "error": error})

    def _say(self, status: int, told: dict[str, Any]) -> None:
        data = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Nothing on stderr, which the tests read."""


@pytest.fixture
def verifier() -> Iterator[Verifier]:
    with Verifier() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def deployed(home: Path) -> None:
    path = contracts_path(open_home(home))
    DeployedContracts(31337, {"CreditToken": WHERE}).save(path)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A checkout: the sources of one artefact, wherever they come from."""
    folder = tmp_path / "checkout"
    for path in shipped_artifacts()["CreditToken"].document["sources"]:
        source = ROOT / path
        if not source.is_file():
            pytest.skip("npm ci has not run here")
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(source.read_bytes())
    return folder


@pytest.mark.usefixtures("deployed")
def test_verify_posts_the_compilers_input_and_tells_the_match(run: Any, verifier: Verifier, repository: Path) -> None:
    done = run("contracts", "verify", "--url", verifier.url, "--sources", str(repository), "--json")
    assert done.json == {"chain_id": 31337, "verified": {"CreditToken": "exact_match"}}
    ((path, body),) = verifier.asked
    assert path == f"/v2/verify/31337/{WHERE}"
    document = shipped_artifacts()["CreditToken"].document
    assert body["contractIdentifier"] == "contracts/token/CreditToken.sol:CreditToken"
    assert body["compilerVersion"] == document["compiler"]["version"]
    given = body["stdJsonInput"]
    assert given["language"] == "Solidity" and set(given["sources"]) == set(document["sources"])
    assert given["settings"].items() >= document["compiler"]["settings"].items()
    own = "contracts/token/CreditToken.sol"
    assert given["sources"][own]["content"] == (ROOT / own).read_text("utf-8")


@pytest.mark.usefixtures("deployed")
def test_what_does_not_match_is_an_error(run: Any, verifier: Verifier, repository: Path) -> None:
    verifier.match = None
    done = run("contracts", "verify", "--url", verifier.url, "--sources", str(repository), "--json")
    assert done.code != 0 and "no match" in done.error["cause"]
    verifier.refusal = {"customCode": "unsupported_chain", "message": "chain 31337 is not supported"}
    done = run("contracts", "verify", "--url", verifier.url, "--sources", str(repository), "--json")
    assert done.code != 0 and "not supported" in done.error["cause"]
    verifier.refusal = {"customCode": "already_verified", "message": "it is"}
    done = run("contracts", "verify", "--url", verifier.url, "--sources", str(repository), "--json")
    assert done.json["verified"] == {"CreditToken": "already verified"}


@pytest.mark.usefixtures("deployed")
def test_changed_and_missing_sources_never_leave_the_machine(run: Any, verifier: Verifier, repository: Path) -> None:
    own = repository / "contracts/token/CreditToken.sol"
    own.write_text(own.read_text("utf-8") + "\n", "utf-8")
    done = run("contracts", "verify", "--url", verifier.url, "--sources", str(repository), "--json")
    assert done.code != 0 and "not what the artefact was built from" in done.error["cause"]
    own.unlink()
    done = run("contracts", "verify", "--url", verifier.url, "--sources", str(repository), "--json")
    assert done.code != 0 and "is not under" in done.error["cause"]
    assert verifier.asked == []


@pytest.mark.usefixtures("deployed")
@pytest.mark.parametrize(("url", "cause"), [("sourcify", "no address"), ("http://127.0.0.1:9", "does not answer")])
def test_a_wrong_address_is_told(run: Any, repository: Path, url: str, cause: str) -> None:
    done = run("contracts", "verify", "--url", url, "--sources", str(repository), "--json")
    assert done.code != 0 and cause in done.error["cause"]
