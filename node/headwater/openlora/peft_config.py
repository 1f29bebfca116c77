"""`adapter_config.json` of a PEFT folder, read strictly.

In: the file's bytes. Out: the four choices that decide how a plain LoRA is applied. Every option that would change
the outcome and that is not applied here is refused in words, known or unknown: an ignored option is a wrong answer
that somebody is paid for. What only concerned training or the file's origin is let through.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from headwater.errors import BadAdapter, InvalidInput
from headwater.protocol.canonical import parse_json

FILE_NAME: Final = "adapter_config.json"

_READ: Final = {"peft_type", "r", "lora_alpha", "use_rslora", "target_modules", "bias", "init_lora_weights"}
_WITHOUT_EFFECT: Final = {
    "auto_mapping", "base_model_name_or_path", "corda_config", "ensure_weight_tying", "eva_config", "inference_mode",
    "layers_pattern", "lora_dropout", "lora_ga_config", "megatron_config", "megatron_core", "peft_version",
    "qalora_group_size", "revision", "runtime_config", "task_type",
}  # fmt: skip
"""Options of training, of initialisation (see `_BASE_CHANGING`) and of origin."""

_NOT_SERVED: Final = {
    "use_dora": "DoRA",
    "modules_to_save": "whole modules trained beside the adapter (modules_to_save)",
    "trainable_token_indices": "changed embeddings (trainable_token_indices)",
    "lora_bias": "biases in the adapter (lora_bias)",
    "rank_pattern": "ranks that differ by layer (rank_pattern)",
    "alpha_pattern": "alphas that differ by layer (alpha_pattern)",
    "layers_to_transform": "a choice of layers beside target_modules (layers_to_transform)",
    "exclude_modules": "a choice of layers beside target_modules (exclude_modules)",
    "layer_replication": "replicated layers (layer_replication)",
    "target_parameters": "adapted parameters outside linear layers (target_parameters)",
    "fan_in_fan_out": "transposed layers (fan_in_fan_out)",
}
_BASE_CHANGING: Final = re.compile(r"pissa|olora|corda|loftq|lora_ga", re.IGNORECASE)
_MODULE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*")


@dataclass(frozen=True, slots=True)
class PeftConfig:
    """What decides how the tensors are applied. `target_modules` sorted: names or dotted ends of module paths."""

    rank: int
    alpha: int
    use_rslora: bool
    target_modules: tuple[str, ...]


def parse_peft_config(data: bytes) -> PeftConfig:
    """Read and judge the file. Raises BadAdapter naming the option."""
    try:
        raw = parse_json(data, FILE_NAME, floats=True)
    except InvalidInput as error:
        raise BadAdapter(error.cause, error.next_step) from error
    if not isinstance(raw, dict):
        raise BadAdapter(f"{FILE_NAME} is not a JSON object", "save the adapter again with peft")
    _refuse_unserved(raw)
    rank, alpha = _whole(raw, "r"), _whole(raw, "lora_alpha")
    rslora = raw.get("use_rslora", False)
    if not isinstance(rslora, bool):
        raise BadAdapter(f"use_rslora is {rslora!r}", "make it true or false")
    return PeftConfig(rank, alpha, rslora, _targets(raw.get("target_modules")))


def _refuse_unserved(raw: dict[str, Any]) -> None:
    if raw.get("peft_type") != "LORA":
        raise BadAdapter(f"the adapter is of type {raw.get('peft_type')!r}, not LORA", "train a LoRA adapter")
    for option, words in _NOT_SERVED.items():
        if not _neutral(raw.get(option)):
            raise BadAdapter(f"the adapter uses {words}, which is not served", "train a plain LoRA", option=option)
    if raw.get("bias", "none") != "none":
        raise BadAdapter(
            "the adapter trains biases (bias), which is not served", "train with bias='none'", option="bias"
        )
    if _BASE_CHANGING.search(str(raw.get("init_lora_weights", ""))) or not _neutral(raw.get("loftq_config")):
        raise BadAdapter(
            "the adapter was initialised in a way that changes the base (PiSSA, OLoRA, CorDA, LoftQ)",
            "convert it to a plain LoRA with peft's `path_initial_model_for_weight_conversion`",
            option="init_lora_weights",
        )
    for option in sorted(raw.keys() - _READ - _WITHOUT_EFFECT - _NOT_SERVED.keys() - {"loftq_config"}):
        if not _neutral(raw[option]):
            raise BadAdapter(
                f"the option {option} = {str(raw[option])[:60]!r} is not known here and may change the outcome",
                "train a plain LoRA, or remove the option if it had no effect",
                option=option,
            )


def _neutral(value: Any) -> bool:
    return value is None or value is False or value == [] or value == {}


def _whole(raw: dict[str, Any], option: str) -> int:
    value = raw.get(option)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 1 << 31:
        raise BadAdapter(f"{option} is {value!r}", "make it a whole number from 1 up", option=option)
    return value


def _targets(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise BadAdapter(
            f"target_modules is {str(value)[:60]!r}",
            "list the module names; patterns are not read",
            option="target_modules",
        )
    for name in value:
        if not isinstance(name, str) or len(name) > 200 or not _MODULE.fullmatch(name):
            raise BadAdapter(
                f"the target module {str(name)[:60]!r} is not a module's name", "list plain module names"
            )
    return tuple(sorted(set(value)))
