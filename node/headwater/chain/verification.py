"""Show a block explorer that deployed bytes come from these sources: Sourcify's API, at any address.

In: an artefact, the folder its sources are in, chain id and address, a service's URL. Out: what the service found
("exact_match", "match"). The request is the compiler's standard-JSON input with every source by its text, held
against the artefact's digests before it leaves. Source of the format: Sourcify's API v2.
POST /v2/verify/{chainId}/{address} takes `stdJsonInput`, `compilerVersion` and `contractIdentifier`;
GET /v2/verify/{verificationId} tells how far it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import requests

from headwater.chain.contracts import Artifact
from headwater.chain.waiting import Waiter
from headwater.errors import InvalidInput, NotFound, Unavailable, VerificationFailed
from headwater.types import Address

TIMEOUT_SECONDS: Final = 30
POLL_SECONDS: Final = 2
POLLS: Final = 60


def standard_json_input(artifact: Artifact, root: Path) -> dict[str, Any]:
    """The compiler's input of this contract. Raises NotFound; VerificationFailed for a source that was not built."""
    sources = {
        path: {"content": _source(root, path, digest)} for path, digest in artifact.document["sources"].items()
    }
    outputs = {"*": {"*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object", "metadata"]}}
    settings = {**artifact.document["compiler"]["settings"], "outputSelection": outputs}
    return {"language": "Solidity", "sources": sources, "settings": settings}


def verify_on(url: str, artifact: Artifact, root: Path, chain_id: int, where: Address, waiter: Waiter) -> str:
    """Post one contract and wait for the answer. Raises InvalidInput, Unavailable, VerificationFailed."""
    if not url.startswith(("http://", "https://")):
        raise InvalidInput(f"{url!r} is no address of a verifier", "pass --url https://…")
    base = url.rstrip("/")
    body = {
        "stdJsonInput": standard_json_input(artifact, root),
        "compilerVersion": artifact.document["compiler"]["version"],
        "contractIdentifier": f"{artifact.document['sourceName']}:{artifact.name}",
    }
    begun = _ask("POST", f"{base}/v2/verify/{chain_id}/{where}", body)
    if begun.get("customCode") == "already_verified":
        return "already verified"
    job = begun.get("verificationId")
    if not isinstance(job, str):
        raise VerificationFailed(
            f"the verifier refused {artifact.name}: {begun.get('message', begun)}", "look the contract up there"
        )
    for _ in range(POLLS):
        told = _ask("GET", f"{base}/v2/verify/{job}", None)
        if told.get("isJobCompleted"):
            return _match_of(artifact.name, told)
        waiter.wait(POLL_SECONDS)
    raise Unavailable(f"the verifier still works on {artifact.name}", f"ask {base}/v2/verify/{job} later")


def _match_of(name: str, told: Mapping[str, Any]) -> str:
    found = (told.get("contract") or {}).get("match")
    if found is None:
        reason = (told.get("error") or {}).get("message", "the bytes differ")
        raise VerificationFailed(f"{name} was not verified: {reason}", "compare scripts/build_artifacts --check")
    return str(found)


def _ask(method: str, url: str, body: Mapping[str, Any] | None) -> Mapping[str, Any]:
    try:
        answer = requests.request(method, url, json=body, timeout=TIMEOUT_SECONDS)
        told = answer.json()
    except requests.RequestException as error:
        raise Unavailable(f"the verifier does not answer ({type(error).__name__})", f"check {url}") from None
    if not isinstance(told, dict):
        raise Unavailable("the verifier's answer is no object", f"check {url}")
    return told


def _source(root: Path, path: str, digest: str) -> str:
    place = next((p for p in (root / path, root / "node_modules" / path) if p.is_file()), None)
    if place is None:
        raise NotFound(f"{path} is not under {root}", "run npm ci in the repository, and pass it as --sources")
    data = place.read_bytes()
    if hashlib.sha256(data).hexdigest() != digest:
        raise VerificationFailed(
            f"{path} is not what the artefact was built from", "check out this version's sources"
        )
    return data.decode("utf-8")
