"""A tiny random base, adapters made by stock peft, and requests: what the openlora tests stand on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers

from headwater.openlora.adapters import LoadedAdapter, read_peft_folder
from headwater.openlora.engine import GenerationRequest
from headwater.openlora.exact import ExactEngine, ExactLimits
from headwater.openlora.loader import load_base
from headwater.openlora.models import BaseModel
from headwater.openlora.placement import choose_placement
from headwater.protocol.completion import Completion
from headwater.testing.tiny import tiny_base
from headwater.types import Digest

ALL_LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny tensors: a second thread would only wait at barriers."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory.mktemp("base"), seed=7, context_tokens=4096)


@pytest.fixture(scope="session")
def base(base_folder: Path) -> BaseModel:
    return load_base(base_folder, "tiny", choose_placement("cpu", threads=1))


AdapterMaker = Callable[..., Path]


@pytest.fixture(scope="session")
def make_adapter(base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> AdapterMaker:
    """A folder as stock peft saves it. `strength` scales B, which peft starts at zero."""

    def make(seed: int = 1, strength: float = 0.3, targets: list[str] | None = None, **options: Any) -> Path:
        torch.manual_seed(seed)
        model = transformers.AutoModelForCausalLM.from_pretrained(base_folder, dtype=torch.float32)
        choices = {"r": 4, "lora_alpha": 8, "task_type": "CAUSAL_LM", **options}
        tuned = peft.get_peft_model(model, peft.LoraConfig(target_modules=targets or ALL_LINEAR, **choices))
        for name, parameter in tuned.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=strength)
        folder = tmp_path_factory.mktemp("adapter")
        tuned.save_pretrained(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def adapter_folders(make_adapter: AdapterMaker) -> list[Path]:
    """Several ranks, rsLoRA, few and all layers."""
    return [
        make_adapter(seed=1),
        make_adapter(seed=2, r=1, lora_alpha=1, strength=1.0),
        make_adapter(seed=3, r=16, lora_alpha=16, use_rslora=True),
        make_adapter(seed=4, r=8, targets=["q_proj", "v_proj"]),
    ]


@pytest.fixture(scope="session")
def adapters(adapter_folders: list[Path], base: BaseModel) -> list[LoadedAdapter]:
    return [read_peft_folder(folder, base.digest) for folder in adapter_folders]


@pytest.fixture
def adapter_copy(adapter_folders: list[Path], tmp_path: Path) -> Path:
    """A folder of one's own, to be damaged."""
    for path in adapter_folders[0].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def edit_config(folder: Path, **changes: Any) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.fixture
def change_config() -> Callable[..., None]:
    return edit_config


RequestMaker = Callable[..., GenerationRequest]


@pytest.fixture
def request_for(base: BaseModel) -> RequestMaker:
    """Requests with fresh ids; the seed is fixed unless given."""
    count = 0

    def make(text: str = "hello", max_tokens: int = 12, **options: Any) -> GenerationRequest:
        nonlocal count
        count += 1
        defaults = {
            "request_id": Digest(sha256(b"request %d" % count).digest()),
            "prompt_ids": base.tokenizer.encode(text),
            "adapter": None,
            "max_tokens": max_tokens,
            "seed": Digest(bytes(32)),
        }
        return GenerationRequest(**{**defaults, **options})

    return make


EngineMaker = Callable[..., ExactEngine]


@pytest.fixture(params=["exact"])
def make_engine(request: pytest.FixtureRequest, base: BaseModel) -> Iterator[EngineMaker]:
    """Builds the engine under test; the contract suite (test_engine.py) runs once for each kind."""
    made: list[ExactEngine] = []

    def make(sink: Callable[[Completion], None] | None = None, **limits: int) -> ExactEngine:
        engine = ExactEngine(base, sink, ExactLimits(**limits))
        made.append(engine)
        return engine

    yield make
    for engine in made:
        engine.close()


@pytest.fixture
def engine(make_engine: EngineMaker) -> ExactEngine:
    return make_engine()
