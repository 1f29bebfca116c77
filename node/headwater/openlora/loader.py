"""A prepared base folder, opened and checked: `config.json`, `model.safetensors`, `tokenizer.json`.

In: the folder and, where it is known, the digest that the base must have. Out: a `BaseModel` whose digest is that of
the tensors in memory, not of a file beside them. Only safetensors is opened, code from the folder never runs, nothing
is downloaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import transformers
from transformers.utils.logging import disable_progress_bar

from headwater.errors import InvalidInput, MissingContent, VerificationFailed
from headwater.openlora.models import BaseModel, model_digest
from headwater.openlora.placement import Placement
from headwater.openlora.tokenizer import Tokenizer
from headwater.types import Digest, hex0x


def load_base(folder: Path, name: str, placement: Placement, expected: Digest | None = None) -> BaseModel:
    """Open a prepared base. Raises MissingContent for an absent file, InvalidInput for a folder that cannot be
    served, VerificationFailed if the tensors are not those of `expected`."""
    for needed in ("config.json", "tokenizer.json"):
        if not (folder / needed).is_file():
            raise MissingContent(f"{folder} holds no {needed}", "prepare the base with `headwater assets install`")
    if not any(folder.glob("*.safetensors")):
        raise MissingContent(f"{folder} holds no safetensors", "prepare the base with `headwater assets install`")
    tokenizer = Tokenizer.from_folder(folder)
    module = _load_module(folder)
    digest = model_digest(module)
    if expected is not None and digest != expected:
        raise VerificationFailed(
            f"the base in {folder} has the digest {hex0x(digest)}, not {hex0x(expected)}",
            "prepare the base again: its files are damaged or of another model",
            actual=hex0x(digest),
            expected=hex0x(expected),
        )
    config: Any = module.config
    vocabulary = module.get_input_embeddings().num_embeddings
    if tokenizer.vocabulary_size > vocabulary:
        raise InvalidInput(
            f"the tokenizer knows {tokenizer.vocabulary_size:,} tokens, the model {vocabulary:,}",
            "use the tokenizer that belongs to the model",
        )
    module = module.to(device=placement.device, dtype=placement.dtype).eval().requires_grad_(False)
    return BaseModel(name, digest, module, tokenizer, int(config.max_position_embeddings), placement)


def _load_module(folder: Path) -> Any:
    disable_progress_bar()  # it writes to the terminal of whoever started us
    try:
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        if getattr(config, "quantization_config", None) is not None:
            raise InvalidInput(f"the base in {folder} is quantised", "prepare it as plain float32 or bfloat16")
        module, info = transformers.AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            dtype="auto",
            attn_implementation="sdpa",
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise InvalidInput(f"the base in {folder} cannot be opened: {error}", "prepare the base again") from error
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        # transformers fills what is missing with random numbers and goes on; here that is an error.
        if keys := sorted(map(str, info.get(kind) or ())):
            raise InvalidInput(
                f"the base in {folder} has {kind.replace('_', ' ')}: {', '.join(keys[:5])}", "prepare it again"
            )
    return module
