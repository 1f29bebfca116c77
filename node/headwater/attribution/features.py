"""Per-example gradients of the answer's loss with respect to the LoRA tensors, sketched as they appear.

In: a prepared base folder, a checkpoint, a method, a sketch seed, examples as token ids. Out: one float64 sketch an
example. One forward and one backward pass serve a whole batch: with dY the gradient at a linear module's output,
dB = s dY' (X A') and dA = s (dY B)' X hold for each example by itself (Goodfellow 2015, applied to LoRA). Logits
are computed only where labels are, and the backward pass stops at the lowest layer that the method uses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor
from torch.nn import functional
from transformers.utils.logging import disable_progress_bar

from headwater.attribution.checkpoint import LoraCheckpoint, layer_of, split_name
from headwater.attribution.method import require_supported
from headwater.attribution.precision import exact_float64
from headwater.attribution.sketch import CountSketch
from headwater.attribution.tensors import float32_digest
from headwater.errors import BadAdapter, InvalidInput, MissingContent, VerificationFailed
from headwater.protocol.attribution import AttributionMethod
from headwater.protocol.tokens import LabelledTokens
from headwater.types import Digest, hex0x

_TYPES: Final = {"float32": torch.float32, "float64": torch.float64}


@dataclass(slots=True)
class _Tap:
    """One LoRA module: its tensors, and what passed through it in the current batch if gradients are wanted."""

    a: Tensor
    b: Tensor
    wanted: bool
    inputs: Tensor | None = None
    outputs: Tensor | None = None


class GradientModel:
    """A frozen base with the checkpoint's adapter applied; owns its module. Not safe for concurrent calls."""

    def __init__(self, module: Any, checkpoint: LoraCheckpoint, method: AttributionMethod) -> None:
        """`module`: a transformers causal language model in the method's gradient type, in eval mode.

        Raises BadAdapter if the checkpoint does not fit the module, InvalidInput for an unsupported method.
        """
        self.method = require_supported(method)
        self.checkpoint = checkpoint
        self.module = module.requires_grad_(False)
        self._dtype = _TYPES[method.gradient_type]
        self._context = int(module.config.max_position_embeddings)
        self._vocabulary = int(module.get_input_embeddings().num_embeddings)
        used = used_layers(checkpoint, method.top_layers)
        self._taps = {path: self._attach(path, layer_of(path) in used) for path in checkpoint.modules}
        self.names = tuple(sorted(n for n in checkpoint.tensors if self._taps[split_name(n)[0]].wanted))
        """PEFT names of the tensors whose gradients count, in canonical coordinate order."""
        self.size = sum(checkpoint.tensors[n].numel() for n in self.names)

    @classmethod
    def load(cls, base_folder: Path, checkpoint: LoraCheckpoint, method: AttributionMethod) -> GradientModel:
        """Open a prepared base and apply the checkpoint to it.

        Raises MissingContent, InvalidInput, BadAdapter, VerificationFailed if the base is not the checkpoint's.
        """
        require_supported(method)
        module = open_module(base_folder)
        actual, expected = float32_digest(dict(module.named_parameters())), checkpoint.adapter.base_digest
        if actual != expected:
            raise VerificationFailed(
                f"the base in {base_folder} has the digest {hex0x(actual)}, the checkpoint needs {hex0x(expected)}",
                "use the base that the adapter was trained on",
            )
        return cls(module.to(_TYPES[method.gradient_type]), checkpoint, method)

    def sketch_of(self, seed: Digest) -> CountSketch:
        """The sketch that this model's gradients are projected by: Adam's metric, canonical coordinate order."""
        weights = [self.checkpoint.metric_of(n, self.method.adam_epsilon_ppt) for n in self.names]
        return CountSketch(seed, self.method.sketch_width, self.size, np.concatenate(weights))

    def features(self, batch: Sequence[LabelledTokens], sketch: CountSketch) -> NDArray[np.float64]:
        """Sketched gradients [len(batch), width], float64. Raises InvalidInput for an example that does not fit."""
        out = np.zeros((len(batch), sketch.width))
        start = 0
        for gradient in self.gradients(batch):
            values = gradient.reshape(len(batch), -1).numpy()
            for row, one in zip(out, values, strict=True):
                sketch.add(row, one, start)
            start += values.shape[1]
        return out

    def gradients(self, batch: Sequence[LabelledTokens]) -> Iterator[Tensor]:
        """For each tensor of `names`, in order: its gradient for each example, [len(batch), *shape]."""
        self._backward(batch)
        try:
            for name in self.names:
                path, side = split_name(name)
                tap = self._taps[path]
                assert tap.inputs is not None and tap.outputs is not None
                x, dy = tap.inputs, tap.outputs
                if side == "A":
                    yield self.checkpoint.scaling * ((dy @ tap.b).mT @ x)
                else:
                    yield self.checkpoint.scaling * (dy.mT @ (x @ tap.a.mT))
        finally:
            self._forget()

    def losses(self, batch: Sequence[LabelledTokens]) -> Tensor:
        """Mean cross-entropy over the answer's tokens of each example, [len(batch)], natural logarithm."""
        self._check(batch)
        with exact_float64() if self._dtype is torch.float64 else nullcontext():
            return self._losses(batch)

    def _losses(self, batch: Sequence[LabelledTokens]) -> Tensor:
        longest = max(len(e.ids) for e in batch)
        ids = torch.zeros((len(batch), longest), dtype=torch.long)
        for i, example in enumerate(batch):
            ids[i, : len(example.ids)] = torch.tensor(example.ids)
        # Padding stands on the right, where causal attention keeps it from every real token: no mask is needed.
        hidden = self.module.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state
        rows, places = _label_places(batch)
        logits = self.module.get_output_embeddings()(hidden[rows, places - 1])
        losses = functional.cross_entropy(logits, ids[rows, places], reduction="none")
        counts = torch.bincount(rows, minlength=len(batch)).to(losses.dtype)
        return torch.zeros(len(batch), dtype=losses.dtype).index_add(0, rows, losses) / counts

    def _backward(self, batch: Sequence[LabelledTokens]) -> None:
        """Leave every wanted tap with its inputs and the loss's gradient at its outputs."""
        self._forget()
        wanted = [t for t in self._taps.values() if t.wanted]
        with torch.enable_grad():
            total = self.losses(batch).sum()
        outputs = [t.outputs for t in wanted if t.outputs is not None]
        for tap, gradient in zip(wanted, torch.autograd.grad(total, outputs), strict=True):
            tap.outputs = gradient

    def _forget(self) -> None:
        for tap in self._taps.values():
            tap.inputs = tap.outputs = None

    def _attach(self, path: str, wanted: bool) -> _Tap:
        tensors = {split_name(n): t for n, t in self.checkpoint.tensors.items()}
        tap = _Tap(tensors[path, "A"].to(self._dtype), tensors[path, "B"].to(self._dtype), wanted)
        try:
            linear = self.module.get_submodule(path)
        except AttributeError:
            raise BadAdapter(
                f"the base has no module {path!r}", "use the base that the adapter was trained on"
            ) from None
        if not isinstance(linear, torch.nn.Linear) or linear.weight.shape != (tap.b.shape[0], tap.a.shape[1]):
            raise BadAdapter(f"the adapter does not fit the base at {path!r}", "use the base that it was trained on")
        linear.register_forward_hook(self._hook(tap))
        return tap

    def _hook(self, tap: _Tap) -> Any:
        scaling = self.checkpoint.scaling

        def apply(_module: Any, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
            x = args[0]
            y = output + scaling * ((x @ tap.a.mT) @ tap.b.mT)
            if tap.wanted and torch.is_grad_enabled():
                # In the lowest used layer nothing before y asks for gradients: y is where the backward pass ends.
                if not y.requires_grad:
                    y.requires_grad_(True)
                tap.inputs, tap.outputs = x.detach(), y
            return y

        return apply

    def _check(self, batch: Sequence[LabelledTokens]) -> None:
        if torch.get_float32_matmul_precision() != "highest":
            raise InvalidInput(
                "torch is set to multiply float32 in a narrower format, so gradients would not be recomputable",
                "call torch.set_float32_matmul_precision('highest')",
            )
        if not batch:
            raise InvalidInput("the batch is empty", "pass at least one example")
        for example in batch:
            if len(example.ids) > self._context:
                raise InvalidInput(
                    f"the example has {len(example.ids):,} tokens, the model's context {self._context:,}",
                    "attribute answers within the context only",
                )
            if max(example.ids) >= self._vocabulary:
                raise InvalidInput(
                    f"token {max(example.ids)} is outside the vocabulary of {self._vocabulary:,}",
                    "use the tokenizer that belongs to the model",
                )


def used_layers(checkpoint: LoraCheckpoint, top_layers: int) -> frozenset[int]:
    """The decoder layers whose gradients count: the last `top_layers` of those that carry LoRA; 0 = all."""
    layers = sorted({layer_of(path) for path in checkpoint.modules})
    if top_layers > len(layers):
        raise InvalidInput(
            f"the method uses {top_layers} layers, the adapter has {len(layers)}", "choose fewer, or 0 for all"
        )
    return frozenset(layers[-top_layers:] if top_layers else layers)


def open_module(folder: Path) -> Any:
    """A prepared base folder as a transformers model in float32, in eval mode.

    Opens safetensors only; downloads nothing and runs no code of the folder. Raises MissingContent, InvalidInput.
    """
    if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
        raise MissingContent(f"{folder} is not a prepared base", "prepare the base with `headwater assets install`")
    disable_progress_bar()  # it writes to the terminal of whoever started us
    try:
        module, info = transformers.AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=torch.float32,
            # Plain attention: faster backwards at these lengths, and no kernel is chosen by machine.
            attn_implementation="eager",
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise InvalidInput(f"the base in {folder} cannot be opened: {error}", "prepare the base again") from error
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        # transformers fills what is missing with random numbers and goes on; here that is an error.
        if keys := sorted(map(str, info.get(kind) or ())):
            raise InvalidInput(f"the base in {folder} has {kind.replace('_', ' ')}: {keys[0]}", "prepare it again")
    return module.eval()


def _label_places(batch: Sequence[LabelledTokens]) -> tuple[Tensor, Tensor]:
    """(example, position) of every answer token, in order."""
    rows = [i for i, e in enumerate(batch) for _ in range(e.answer_start, len(e.ids))]
    places = [p for e in batch for p in range(e.answer_start, len(e.ids))]
    return torch.tensor(rows), torch.tensor(places)
