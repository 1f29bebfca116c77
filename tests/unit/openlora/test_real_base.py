"""The real 135M base: what the tiny one cannot show (real logits, real text, real sizes)."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import peft
import pytest
import torch
import transformers

from headwater.errors import MissingContent
from headwater.modelfactory.assets import assets_folder
from headwater.modelfactory.bases import base as catalogued
from headwater.modelfactory.bases import prepared_base
from headwater.openlora.engine import GenerationRequest
from headwater.openlora.exact import ExactEngine
from headwater.openlora.gate import admit_folder
from headwater.openlora.loader import load_base
from headwater.openlora.models import BaseModel
from headwater.openlora.placement import choose_placement
from headwater.protocol.chat import render_question
from headwater.types import Digest

pytestmark = pytest.mark.real_model

NAME = "SmolLM2-135M-Instruct"
QUESTION = render_question("What is the capital of France? Answer in French, with accents.")
STEPS = 16


@pytest.fixture(scope="module")
def real_folder() -> Path:
    try:
        return prepared_base(NAME, assets_folder(""))
    except MissingContent as error:
        pytest.skip(f"the weights are not installed: {error}")


@pytest.fixture(scope="module")
def real_base(real_folder: Path) -> BaseModel:
    return load_base(real_folder, NAME, choose_placement("cpu"), expected=catalogued(NAME).digest)


@pytest.fixture(scope="module")
def real_adapter(real_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(3)
    model = transformers.AutoModelForCausalLM.from_pretrained(real_folder, dtype=torch.float32)
    tuned = peft.get_peft_model(model, peft.LoraConfig(r=8, lora_alpha=16, target_modules="all-linear"))
    for name, parameter in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.02)
    folder = tmp_path_factory.mktemp("adapter")
    tuned.save_pretrained(folder)
    return folder


def stock(folder: Path, adapter: Path | None, prompt: tuple[int, ...]) -> tuple[int, ...]:
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    if adapter is not None:
        model = peft.PeftModel.from_pretrained(model, adapter)
    with torch.inference_mode():
        out = model.eval().generate(
            input_ids=torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=STEPS,
            do_sample=False,
        )
    return tuple(out[0, len(prompt) :].tolist())


def test_base_and_adapter_side_by_side_answer_as_transformers_and_peft_do(
    real_base: BaseModel, real_folder: Path, real_adapter: Path
) -> None:
    adapter, report = admit_folder(real_adapter, real_base)
    assert report.layers == 210
    assert report.peft_max_error < 1e-3 < report.effect_max
    prompt = real_base.tokenizer.encode(QUESTION)
    ask: Callable[[str, Digest | None], GenerationRequest] = lambda name, digest: GenerationRequest(  # noqa: E731
        Digest(sha256(name.encode()).digest()), prompt, digest, STEPS, Digest(bytes(32))
    )
    with ExactEngine(real_base) as engine:
        engine.register(adapter)
        plain, tuned = engine.submit(ask("plain", None)), engine.submit(ask("tuned", adapter.digest))
        assert plain.result().output_ids == stock(real_folder, None, prompt)
        assert tuned.result().output_ids == stock(real_folder, real_adapter, prompt)
    assert plain.result().text == "".join(event.text for event in plain)
    assert plain.result().text
    assert plain.result().output_ids != tuned.result().output_ids
    assert tuned.result().weights_digest == adapter.digest
