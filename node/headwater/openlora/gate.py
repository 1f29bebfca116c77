"""The gate: no adapter is served that was not seen to work.

In: a loaded adapter and the base. Out: a `GateReport`, or a BadAdapter that says in words what is wrong. Checked, in
this order: base digest, ranks and bytes, that every tensor is half of a LoRA pair of a linear layer with the right
shape and finite numbers, that the tensors and `target_modules` name the same layers, that the logits on probe prompts
change against the base (the effect probe), and that they equal those of stock peft. Servers elsewhere answer with the
bare base when an adapter does not fit, and say 200; here people are paid by the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from headwater.errors import BadAdapter
from headwater.openlora.adapters import MAX_ADAPTER_BYTES, LoadedAdapter, read_peft_folder, resident
from headwater.openlora.lora_ops import LoraPair, attach
from headwater.openlora.models import BaseModel
from headwater.openlora.peft_reference import peft_logits
from headwater.protocol.chat import render_question
from headwater.types import Digest, hex0x

PROBE_QUESTIONS: Final = ("What is this?", "Explain it in one sentence, please.", "Code: A1 B2 C3 = 10.5 %")
"""Short, unlike each other, and of no domain: an adapter that leaves all of these as they were does nothing."""

FLOAT_DTYPES: Final = (torch.float32, torch.float16, torch.bfloat16)


@dataclass(frozen=True, slots=True)
class GateLimits:
    """What a pool accepts. Logits are in nats."""

    max_rank: int = 256
    max_bytes: int = MAX_ADAPTER_BYTES
    min_effect: float = 1e-3
    """Smallest change of any logit that counts as an effect: a hundred times float32's rounding on such models."""
    max_parity_error: float = 1e-3
    """Largest difference to stock peft, for logits worked in float32; ten times `min_effect`'s margin in bfloat16."""


@dataclass(frozen=True, slots=True)
class GateReport:
    """What was found on an adapter that may be served."""

    digest: Digest
    base_digest: Digest
    rank: int
    layers: int
    nbytes: int
    probe_tokens: int
    effect_max: float
    """Largest change of a logit on the probe prompts against the base."""
    changed_choices: int
    """Probe positions whose most probable token changed."""
    peft_max_error: float
    """Largest difference of a logit to stock peft."""
    inert_layers: tuple[str, ...]
    """Layers whose pair multiplies to zero: served as they are, and worth the trainer's attention."""

    def to_json(self) -> dict[str, object]:
        return {
            "digest": hex0x(self.digest),
            "base_digest": hex0x(self.base_digest),
            "rank": self.rank,
            "layers": self.layers,
            "nbytes": self.nbytes,
            "probe_tokens": self.probe_tokens,
            "effect_max": self.effect_max,
            "changed_choices": self.changed_choices,
            "peft_max_error": self.peft_max_error,
            "inert_layers": list(self.inert_layers),
        }


def admit_folder(
    folder: Path, base: BaseModel, limits: GateLimits | None = None, expected: Digest | None = None
) -> tuple[LoadedAdapter, GateReport]:
    """Read a PEFT folder and check it. `expected`: the digest it must have (from the chain), if there is one.

    Raises BadAdapter, MissingContent.
    """
    limits = limits or GateLimits()
    adapter = read_peft_folder(folder, base.digest, limits.max_bytes)
    if expected is not None and adapter.digest != expected:
        raise BadAdapter(
            f"the adapter in {folder} has the digest {hex0x(adapter.digest)}, not {hex0x(expected)}",
            "fetch it again, or check that it was trained on this base",
        )
    return adapter, admit(adapter, base, limits)


def admit(adapter: LoadedAdapter, base: BaseModel, limits: GateLimits | None = None) -> GateReport:
    """Check an adapter against its base. Raises BadAdapter with cause and next step."""
    limits = limits or GateLimits()
    if adapter.manifest.base_digest != base.digest:
        raise BadAdapter(
            f"the adapter was trained on the base {hex0x(adapter.manifest.base_digest)}, not on {hex0x(base.digest)}",
            "serve it on its own base",
        )
    _check_size(adapter, limits)
    pairs = adapter.pairs()
    for module, pair in sorted(pairs.items()):
        _check_pair(module, pair, adapter.manifest.rank, base.linear_shapes())
    _check_coverage(adapter.manifest.target_modules, pairs, base.linear_shapes())
    return _probe(adapter, base, limits)


def _check_size(adapter: LoadedAdapter, limits: GateLimits) -> None:
    if adapter.manifest.rank > limits.max_rank:
        raise BadAdapter(
            f"the adapter has rank {adapter.manifest.rank}, the limit here is {limits.max_rank}",
            "train with a lower rank",
        )
    if adapter.nbytes() > limits.max_bytes:
        raise BadAdapter(
            f"the adapter has {adapter.nbytes():,} bytes, the limit here is {limits.max_bytes:,}",
            "lower the rank or target fewer modules",
        )


def _check_pair(module: str, pair: LoraPair, rank: int, shapes: Mapping[str, tuple[int, int]]) -> None:
    if module not in shapes:
        raise BadAdapter(
            f"the base has no linear layer {module!r} that an adapter may change", "target the layers of its blocks"
        )
    out_features, in_features = shapes[module]
    for side, tensor, wanted in (("A", pair.a, (rank, in_features)), ("B", pair.b, (out_features, rank))):
        if tuple(tensor.shape) != wanted:
            raise BadAdapter(
                f"lora_{side} of {module} has the shape {tuple(tensor.shape)}, the base needs {wanted}",
                "check that the adapter belongs to this base",
            )
        if tensor.dtype not in FLOAT_DTYPES:
            raise BadAdapter(
                f"lora_{side} of {module} holds {tensor.dtype}", "save it as float32, float16 or bfloat16"
            )
        if not bool(torch.isfinite(tensor).all()):
            raise BadAdapter(
                f"lora_{side} of {module} holds NaN or infinity", "train again with a lower learning rate"
            )


def _check_coverage(targets: tuple[str, ...], pairs: Mapping[str, object], shapes: Mapping[str, object]) -> None:
    meant: set[str] = set()
    for target in targets:
        found = {m for m in shapes if m == target or m.endswith("." + target)}
        if not found:
            raise BadAdapter(f"the base has no linear layer called {target!r}", "target the layers of its blocks")
        meant |= found
    if lacking := sorted(meant - pairs.keys()):
        raise BadAdapter(
            f"target_modules means {len(meant)} layers, {len(lacking)} have no weights, first {lacking[0]}",
            "save the adapter again, or list the full paths of the layers that it changes",
        )
    if beyond := sorted(pairs.keys() - meant):
        raise BadAdapter(
            f"there are weights for {beyond[0]}, which target_modules does not name", "correct target_modules"
        )


@torch.inference_mode()
def _probe(adapter: LoadedAdapter, base: BaseModel, limits: GateLimits) -> GateReport:
    prompts = [base.tokenizer.encode(render_question(q)) for q in PROBE_QUESTIONS]
    placed = resident(adapter, base.device, base.dtype)
    structure = base.structure()
    switch = attach(structure)
    effect, error, changed = 0.0, 0.0, 0
    for ids, reference in zip(prompts, peft_logits(base, adapter, prompts), strict=True):
        batch = torch.tensor([ids], device=base.device)
        with switch.using(None):
            plain: Tensor = structure(input_ids=batch, use_cache=False).logits[0].float()
        with switch.using(placed):
            tuned: Tensor = structure(input_ids=batch, use_cache=False).logits[0].float()
        if not bool(torch.isfinite(tuned).all()):
            raise BadAdapter("the adapter makes the logits NaN or infinite", "train again with a lower learning rate")
        effect = max(effect, float((tuned - plain).abs().max()))
        error = max(error, float((tuned - reference.float()).abs().max()))
        changed += int((tuned.argmax(-1) != plain.argmax(-1)).sum())
    _check_probe(effect, error, base.dtype, limits)
    return GateReport(
        digest=placed.digest,
        base_digest=base.digest,
        rank=adapter.manifest.rank,
        layers=len(placed.pairs),
        nbytes=adapter.nbytes(),
        probe_tokens=sum(map(len, prompts)),
        effect_max=effect,
        changed_choices=changed,
        peft_max_error=error,
        inert_layers=tuple(sorted(m for m, p in placed.pairs.items() if not bool((p.b @ p.a).any()))),
    )


def _check_probe(effect: float, error: float, dtype: torch.dtype, limits: GateLimits) -> None:
    if effect < limits.min_effect:
        raise BadAdapter(
            f"the adapter has no effect: no logit of the probe prompts moves by more than {effect:.1e}",
            "train it, or check alpha and that the right file was saved",
            effect_max=effect,
        )
    allowed = limits.max_parity_error if dtype == torch.float32 else 0.05 * max(1.0, effect)
    if error > allowed:
        raise BadAdapter(
            f"the adapter's logits differ from stock peft's by {error:.1e}, more than {allowed:.0e}",
            "report this with the adapter: one of the two applies it wrongly",
            peft_max_error=error,
        )
