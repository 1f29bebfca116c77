"""Base models: which ones are known, and the prepared folder that everything else opens.

In: a name and the assets folder. Out: a folder with `config.json`, `model.safetensors` (float32) and
`tokenizer.json`, whose canonical digest equals the one pinned here. The slow path (dequantising a GGUF file) runs
once; the folder appears in one step or not at all. Also opens a prepared folder of anybody's as a frozen model.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
import transformers
from transformers.utils.logging import disable_progress_bar

from headwater.errors import InvalidInput, MissingContent, NotFound, VerificationFailed
from headwater.modelfactory.assets import SMOLLM2, Asset, Progress, locate
from headwater.modelfactory.machine import torch_type
from headwater.modelfactory.tensors import digest_of, read_tensors, refuse_pickle, write_tensors
from headwater.modelfactory.tokenizer import FILE_NAME as TOKENIZER_FILE
from headwater.modelfactory.tokenizer import PAD_TOKEN, Tokenizer
from headwater.protocol.recipe import ComputeType
from headwater.storage.files import make_folder, sync_folder, write_durably
from headwater.types import Digest, digest, hex0x

WEIGHTS_FILE: Final = "model.safetensors"
CONFIG_FILE: Final = "config.json"
SUPPORTED_TYPES: Final = frozenset({"llama", "mistral", "qwen2", "qwen3", "smollm3"})
"""Plain decoders: hidden states times the output head are the logits, as the training loop assumes."""
EAGER_TOKENS: Final = 512
"""Up to this length plain attention is used: its backward pass is faster than the fused one on a processor."""


@dataclass(frozen=True, slots=True)
class Base:
    """A base model of the catalogue."""

    name: str
    asset: Asset
    gguf: str
    digest: Digest
    """Over the float32 tensors of `model.safetensors`."""
    licence: str


BASES: Final = (
    Base(
        name="SmolLM2-135M-Instruct",
        asset=SMOLLM2,
        gguf="SmolLM2-135M-Instruct.Q4_1.gguf",
        digest=digest("0xec4da93d396c68c865477012f60957b007d17b80b78eb4fd4fc5d29728929421"),
        licence="Apache-2.0",
    ),
)


def base(name: str) -> Base:
    """Raises NotFound for a base that is not in the catalogue."""
    for entry in BASES:
        if entry.name == name:
            return entry
    raise NotFound(f"no base model is called {name!r}", "use one of " + ", ".join(b.name for b in BASES))


def prepared_base(name: str, assets_dir: Path, progress: Progress = lambda line: None) -> Path:
    """The prepared folder of a catalogued base, made on first use and verified on every use.

    Raises NotFound, MissingContent (run `headwater assets install`), VerificationFailed, DiskFull.
    """
    entry = base(name)
    folder = assets_dir / "bases" / f"{entry.name}-{entry.digest.hex()[:16]}"
    if not folder.is_dir():
        progress(f"preparing {name} once: dequantising {entry.gguf}")
        _prepare(entry, folder, locate(entry.asset, assets_dir) / entry.gguf)
        progress(f"{name} is ready in {folder}")
    actual = base_digest(folder)
    if actual != entry.digest:
        raise VerificationFailed(
            f"the base in {folder} has the digest {hex0x(actual)}, not {hex0x(entry.digest)}",
            "remove the folder: it is prepared again on the next use",
        )
    return folder


def base_digest(folder: Path) -> Digest:
    """Canonical digest of a prepared folder's tensors: names, dtypes, shapes and bytes, not of the file."""
    return digest_of(read_tensors(folder / WEIGHTS_FILE))


def open_base(folder: Path, compute_type: ComputeType, device: str = "cpu", max_tokens: int = 0) -> Any:
    """A frozen transformers model in `compute_type`, in eval mode. `max_tokens`: longest sequence, 0 = unknown.

    Nothing is downloaded, code in the folder never runs, only safetensors is opened. Raises MissingContent,
    BadAdapter for pickle, InvalidInput for a folder that is not a whole model.
    """
    for needed in (CONFIG_FILE, TOKENIZER_FILE, WEIGHTS_FILE):
        if not (folder / needed).is_file():
            raise MissingContent(f"{folder} holds no {needed}", "prepare the base with `headwater assets install`")
    refuse_pickle(folder)
    disable_progress_bar()  # it writes to the terminal of whoever started us
    attention = "eager" if 0 < max_tokens <= EAGER_TOKENS else "sdpa"
    try:
        module, info = transformers.AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=torch_type(compute_type),
            attn_implementation=attention,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise InvalidInput(f"the base in {folder} cannot be opened: {error}", "prepare the base again") from error
    if module.config.model_type not in SUPPORTED_TYPES:
        raise InvalidInput(
            f"the base in {folder} is of type {module.config.model_type!r}, which cannot be trained here",
            "use one of " + ", ".join(sorted(SUPPORTED_TYPES)),
        )
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        # transformers fills what is missing with random numbers and goes on; here that is an error.
        if keys := sorted(map(str, info.get(kind) or ())):
            raise InvalidInput(f"the base in {folder} has {kind.replace('_', ' ')}: {keys[0]}", "prepare it again")
    return module.to(device).eval().requires_grad_(False)


def _prepare(entry: Base, folder: Path, gguf: Path) -> None:
    make_folder(folder.parent, 0o755)
    scratch = Path(tempfile.mkdtemp(prefix=f".{entry.name}-", dir=folder.parent))
    try:
        _convert(gguf, scratch)
        scratch.chmod(0o755)
        sync_folder(scratch)
        try:
            scratch.rename(folder)
        except OSError:
            # Another process was faster; its folder is verified like ours.
            if not folder.is_dir():
                raise
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _convert(gguf: Path, target: Path) -> None:
    """Dequantise to float32. The pad token is set apart from the end token, and no chat template is kept."""
    disable_progress_bar()
    module = transformers.AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        dtype=torch.float32,
        quantization_config=transformers.GgufConfig(dequantize=True),
        local_files_only=True,
    )
    backend = transformers.AutoTokenizer.from_pretrained(
        gguf.parent, gguf_file=gguf.name, local_files_only=True
    ).backend_tokenizer
    tokenizer = Tokenizer(backend)
    config = module.config.to_dict() | {
        "architectures": [type(module).__name__],
        "dtype": "float32",
        "eos_token_id": tokenizer.end_id,
        "pad_token_id": tokenizer.pad_id,
    }
    config.pop("quantization_config", None)
    config.pop("_name_or_path", None)
    write_tensors(target / WEIGHTS_FILE, dict(module.named_parameters(remove_duplicate=True)))
    write_durably(target / TOKENIZER_FILE, backend.to_str().encode("utf-8"), 0o644)
    settings = {"eos_token": "<|im_end|>", "pad_token": PAD_TOKEN, "tokenizer_class": "PreTrainedTokenizerFast"}
    write_durably(target / "tokenizer_config.json", _json(settings), 0o644)
    write_durably(target / CONFIG_FILE, _json(config), 0o644)


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=2, sort_keys=True).encode("utf-8")
