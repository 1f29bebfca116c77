"""The training loop itself: labelled tokens in, losses and tensors out. No files, no clock, no process.

In: a module with an attached adapter, a recipe, labelled records. Out: one optimiser step at a time, and the state
that the next step depends on. Logits are computed only where a label stands; everything else of the vocabulary's
50,000 columns would be thrown away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from headwater.errors import InvalidInput, JobFailed
from headwater.modelfactory.checkpoints import TrainingState
from headwater.modelfactory.data import batches
from headwater.modelfactory.lora import LoraAdapter
from headwater.modelfactory.recipe import checkpoint_step, learning_rate, total_steps
from headwater.protocol.recipe import Recipe
from headwater.protocol.tokens import LabelledTokens
from headwater.types import Digest


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """One optimiser step. `positions`: which records; `loss`: mean nats an answer token, before the update."""

    step: int
    positions: tuple[int, ...]
    tokens: int
    loss: float


class TrainingLoop:
    """AdamW over the adapter's tensors; the base never changes."""

    def __init__(
        self,
        module: Any,
        adapter: LoraAdapter,
        recipe: Recipe,
        labelled: Sequence[LabelledTokens],
        record_ids: Sequence[Digest],
        pad_id: int,
    ) -> None:
        self.recipe = recipe
        self.steps = total_steps(recipe, len(labelled))
        self.checkpoint_step = checkpoint_step(recipe, self.steps)
        self.completed = 0
        self._module, self._adapter = module, adapter
        self.labelled, self._pad_id = labelled, pad_id
        self._batches = batches(recipe, record_ids)
        self._device = next(iter(adapter.parameters.values())).device
        self._optimiser = torch.optim.AdamW(
            adapter.parameters.values(),
            lr=0.0,
            betas=(recipe.adam_beta1_ppm / 1e6, recipe.adam_beta2_ppm / 1e6),
            eps=recipe.adam_epsilon_ppt / 1e12,
            weight_decay=recipe.weight_decay_ppm / 1e6,
            fused=True,
        )

    @property
    def adapter_bytes(self) -> int:
        return sum(p.nbytes for p in self._adapter.parameters.values())

    def step(self) -> StepOutcome:
        """Do the next step. Raises InvalidInput after the last one, JobFailed if the loss is not a number."""
        if self.completed == self.steps:
            raise InvalidInput(f"the training is over after {self.steps} steps", "start another")
        positions = self._batches[self.completed]
        batch = [self.labelled[i] for i in positions]
        loss = self._loss(batch)
        value = loss.item()
        if value != value or value in (float("inf"), float("-inf")):
            raise JobFailed(
                f"the loss is {value} at step {self.completed + 1}", "lower the learning rate or warm up longer"
            )
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate(self.recipe, self.completed, self.steps)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        self.completed += 1
        return StepOutcome(self.completed, positions, sum(len(t.ids) for t in batch), value)

    def state(self) -> TrainingState:
        """Copies of adapter and moments after the steps so far."""
        first, second = {}, {}
        for name, parameter in self._adapter.parameters.items():
            moments = self._optimiser.state.get(parameter, {})
            zero = torch.zeros_like(parameter)
            first[name] = moments.get("exp_avg", zero).detach().to("cpu", copy=True)
            second[name] = moments.get("exp_avg_sq", zero).detach().to("cpu", copy=True)
        return TrainingState(self.completed, self._adapter.state(), first, second)

    def restore(self, state: TrainingState) -> None:
        """Go on from `state` as if the steps before it had been done here. Raises BadAdapter if it does not fit."""
        self._adapter.load(state.adapter)
        for name, parameter in self._adapter.parameters.items():
            self._optimiser.state[parameter] = {
                "step": torch.tensor(float(state.step), device=self._device),
                "exp_avg": state.first_moment[name].to(self._device, copy=True),
                "exp_avg_sq": state.second_moment[name].to(self._device, copy=True),
            }
        self.completed = state.step

    def _loss(self, batch: Sequence[LabelledTokens]) -> Tensor:
        """Mean cross-entropy over all answer tokens of the batch, logits in float32.

        Padding stands on the right, so under causal attention no real token sees it and no mask is needed.
        """
        length = max(len(tokens.ids) for tokens in batch)
        ids = torch.full((len(batch), length), self._pad_id)
        wanted = torch.zeros((len(batch), length), dtype=torch.bool)
        for row, tokens in enumerate(batch):
            ids[row, : len(tokens.ids)] = torch.tensor(tokens.ids)
            wanted[row, tokens.answer_start : len(tokens.ids)] = True
        ids, wanted = ids.to(self._device), wanted.to(self._device)
        hidden = self._module.base_model(input_ids=ids, use_cache=False).last_hidden_state
        logits = self._module.get_output_embeddings()(hidden[:, :-1][wanted[:, 1:]])
        return nn.functional.cross_entropy(logits.float(), ids[:, 1:][wanted[:, 1:]])
