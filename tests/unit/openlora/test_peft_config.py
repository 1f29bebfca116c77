"""What decides is read; what is not served is refused by its name."""

from __future__ import annotations

import json
from typing import Any

import peft
import pytest

from headwater.errors import BadAdapter
from headwater.openlora.peft_config import PeftConfig, parse_peft_config

PLAIN = {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["v_proj", "q_proj"], "bias": "none"}


def parse(**changes: Any) -> PeftConfig:
    return parse_peft_config(json.dumps({**PLAIN, **changes}).encode())


def test_the_four_choices_are_read_and_sorted() -> None:
    assert parse(use_rslora=True) == PeftConfig(8, 16, True, ("q_proj", "v_proj"))
    assert parse(lora_alpha=16.0).alpha == 16


def test_everything_that_stock_peft_writes_today_is_known() -> None:
    config = peft.LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"], lora_dropout=0.1).to_dict()
    written = json.dumps({k: sorted(v) if isinstance(v, set) else v for k, v in config.items()}, default=str)
    values = json.loads(written) | {"peft_type": "LORA"}
    assert parse_peft_config(json.dumps(values).encode()) == PeftConfig(8, 16, False, ("q_proj", "v_proj"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"trainable_token_indices": [1]}, "embeddings"),
        ({"lora_bias": True}, "biases"),
        ({"bias": "all"}, "biases"),
        ({"rank_pattern": {"q_proj": 4}}, "rank_pattern"),
        ({"alpha_pattern": {"q_proj": 4}}, "alpha_pattern"),
        ({"layers_to_transform": [0]}, "layers_to_transform"),
        ({"layers_to_transform": 0}, "layers_to_transform"),
        ({"exclude_modules": ["q_proj"]}, "exclude_modules"),
        ({"layer_replication": [[0, 1]]}, "layer_replication"),
        ({"target_parameters": ["x"]}, "target_parameters"),
        ({"fan_in_fan_out": True}, "fan_in_fan_out"),
        ({"init_lora_weights": "pissa_niter_16"}, "changes the base"),
        ({"loftq_config": {"loftq_bits": 4}}, "changes the base"),
        ({"an_option_of_tomorrow": 1}, "an_option_of_tomorrow"),
        ({"peft_type": "IA3"}, "not LORA"),
        ({"r": 0}, "r is 0"),
        ({"r": True}, "r is True"),
        ({"lora_alpha": 0.5}, "lora_alpha is 0.5"),
        ({"use_rslora": "yes"}, "use_rslora"),
        ({"target_modules": "all-linear"}, "target_modules"),
        ({"target_modules": []}, "target_modules"),
        ({"target_modules": ["(a+)+$"]}, "not a module's name"),
        ({"target_modules": [3]}, "not a module's name"),
    ],
)
def test_what_is_not_served_is_refused_in_words(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadAdapter) as caught:
        parse(**changes)
    assert words in caught.value.cause
    assert caught.value.next_step


@pytest.mark.parametrize("data", [b"", b"[]", b'{"r": NaN}', b'{"r": 1, "r": 2}', b"\xff", b"[" * 100_000])
def test_what_is_not_one_clear_json_object_is_refused(data: bytes) -> None:
    with pytest.raises(BadAdapter):
        parse_peft_config(data)
