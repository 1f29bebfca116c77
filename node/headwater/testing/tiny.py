"""A tiny random model with a tokenizer, saved as a prepared base folder in well under a second.

In: a folder and a seed. Out: the folder, holding `config.json`, `model.safetensors` (float32) and `tokenizer.json` of
a Llama-shaped model of two layers. It knows nothing and answers nonsense; it exists so that mechanics can be tested
without weights. Token ids 0, 1, 2 are `<|endoftext|>`, `<|im_start|>`, `<|im_end|>`, as in SmolLM2; every other
token is one byte.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import safetensors.torch
import tokenizers
import torch
import transformers
from tokenizers import decoders, models, pre_tokenizers

CONTROL_TOKENS: Final = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def tiny_base(folder: Path, seed: int = 0, *, hidden: int = 32, layers: int = 2, context_tokens: int = 256) -> Path:
    """Write the folder and return it. The same arguments give the same tensors on every machine of one torch."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = tiny_tokenizer()
    module = tiny_module(tokenizer.get_vocab_size(), seed, hidden, layers, context_tokens)
    weights = dict(module.named_parameters(remove_duplicate=True))
    safetensors.torch.save_file(
        {name: tensor.detach().contiguous() for name, tensor in weights.items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    config: Any = module.config
    config.architectures = ["LlamaForCausalLM"]
    (folder / "config.json").write_text(json.dumps(config.to_dict(), indent=2, sort_keys=True), "utf-8")
    (folder / "tokenizer.json").write_text(tokenizer.to_str(), "utf-8")
    return folder


def tiny_tokenizer() -> tokenizers.Tokenizer:
    """One token a byte, and the three control tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*CONTROL_TOKENS, *alphabet])}
    tokenizer = tokenizers.Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(CONTROL_TOKENS))
    return tokenizer


def tiny_module(
    vocabulary_size: int, seed: int = 0, hidden: int = 32, layers: int = 2, context_tokens: int = 256
) -> Any:
    """The model in memory: random float32 weights, tied output head, grouped key-value heads."""
    config = transformers.LlamaConfig(
        vocab_size=vocabulary_size,
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context_tokens,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        initializer_range=0.2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return transformers.LlamaForCausalLM(config).eval()
