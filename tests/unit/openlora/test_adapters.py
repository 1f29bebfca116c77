"""An adapter is what its digest says, and nothing but safetensors is opened."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

from headwater.errors import BadAdapter, MissingContent, VerificationFailed
from headwater.openlora.adapters import LoadedAdapter, read_peft_folder, resident
from headwater.openlora.models import BaseModel
from headwater.openlora.tensors import digest_of
from headwater.types import Digest

BASE = Digest(bytes(31) + b"\x01")


def rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> None:
    path = folder / "adapter_model.safetensors"
    safetensors.torch.save_file(change(safetensors.torch.load_file(path)), path)


def test_the_digest_covers_tensors_scale_and_base_but_not_the_file(adapter_copy: Path, change_config) -> None:
    first = read_peft_folder(adapter_copy, BASE)
    rewrite(adapter_copy, lambda tensors: dict(reversed(list(tensors.items()))))
    change_config(adapter_copy, lora_dropout=0.5, base_model_name_or_path="elsewhere")
    assert read_peft_folder(adapter_copy, BASE).digest == first.digest
    assert read_peft_folder(adapter_copy, Digest(bytes(32))).digest != first.digest
    change_config(adapter_copy, lora_alpha=9)
    assert read_peft_folder(adapter_copy, BASE).digest != first.digest


def test_scales_follow_lora_and_rslora(adapters: list[LoadedAdapter]) -> None:
    assert adapters[0].scale() == 8 / 4
    assert adapters[2].scale() == 16 / 4  # rsLoRA: sqrt(16)


def test_tensors_that_do_not_belong_to_the_manifest_are_no_adapter(adapters: list[LoadedAdapter]) -> None:
    with pytest.raises(VerificationFailed, match="digest"):
        LoadedAdapter(adapters[0].manifest, adapters[1].tensors)


def test_the_resident_digest_is_computed_from_the_copied_tensors(
    adapters: list[LoadedAdapter], base: BaseModel
) -> None:
    adapter = adapters[0]
    placed = resident(adapter, torch.device("cpu"), torch.float32)
    assert placed.digest == adapter.digest
    # Somebody writes into the tensors after the check: the name follows what is there.
    tensors = {name: tensor.clone() for name, tensor in adapter.tensors.items()}
    tampered = LoadedAdapter(replace(adapter.manifest, tensors_digest=digest_of(tensors)), tensors)
    next(iter(tensors.values())).add_(1)
    assert resident(tampered, torch.device("cpu"), torch.float32).digest != adapter.digest


def test_resident_tensors_are_its_own(adapters: list[LoadedAdapter]) -> None:
    placed = resident(adapters[0], torch.device("cpu"), torch.float32)
    loaded = {tensor.data_ptr() for tensor in adapters[0].tensors.values()}
    assert not loaded & {p.a.data_ptr() for p in placed.pairs.values()}
    assert placed.nbytes() == adapters[0].nbytes()


def test_a_manifest_beside_the_files_must_agree(adapter_copy: Path) -> None:
    adapter = read_peft_folder(adapter_copy, BASE)
    manifest = adapter_copy / "adapter.json"
    manifest.write_bytes(adapter.manifest.canonical_bytes())
    assert read_peft_folder(adapter_copy, BASE).digest == adapter.digest
    manifest.write_bytes(replace(adapter.manifest, base_digest=Digest(bytes(32))).canonical_bytes())
    with pytest.raises(BadAdapter, match="trained on the base"):
        read_peft_folder(adapter_copy, BASE)
    manifest.write_bytes(replace(adapter.manifest, alpha=9).canonical_bytes())
    with pytest.raises(BadAdapter, match=r"disagrees .* in alpha"):
        read_peft_folder(adapter_copy, BASE)


@pytest.mark.parametrize("name", ["adapter_model.bin", "training_args.PT", "x.pkl", "y.ckpt"])
def test_pickle_is_refused_and_never_opened(adapter_copy: Path, name: str) -> None:
    proof = adapter_copy / "it-ran"
    (adapter_copy / name).write_bytes(pickle.dumps(_Bomb(proof)))
    with pytest.raises(BadAdapter, match="pickle"):
        read_peft_folder(adapter_copy, BASE)
    assert not proof.exists()


class _Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


def lying_header(data: bytes) -> bytes:
    return (2**40).to_bytes(8, "little") + data[8:]


@pytest.mark.parametrize(
    "damage",
    [
        lying_header,
        lambda d: d[:-5],
        lambda d: b"",
        lambda d: b"PK\x03\x04" + d,
        lambda d: d.replace(b"F32", b"F99", 1),
    ],
    ids=["header too long", "cut off", "empty", "zip", "unknown dtype"],
)
def test_what_is_not_whole_safetensors_is_refused(adapter_copy: Path, damage: Callable[[bytes], bytes]) -> None:
    path = adapter_copy / "adapter_model.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(BadAdapter, match="safetensors"):
        read_peft_folder(adapter_copy, BASE)


def test_bytes_over_the_limit_are_refused_before_they_are_read(adapter_copy: Path) -> None:
    with pytest.raises(BadAdapter, match="more than 100 bytes"):
        read_peft_folder(adapter_copy, BASE, max_bytes=100)


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_an_absent_file_is_named(adapter_copy: Path, name: str) -> None:
    (adapter_copy / name).unlink()
    with pytest.raises(MissingContent, match=name):
        read_peft_folder(adapter_copy, BASE)
    with pytest.raises(MissingContent, match="no folder"):
        read_peft_folder(adapter_copy / "nowhere", BASE)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("base_model.model.model.layers.0.mlp.up_proj.lora_magnitude_vector", "DoRA"),
        ("base_model.model.model.embed_tokens.lora_embedding_A", "embeddings"),
        ("base_model.model.lm_head.weight", "whole module"),
        ("base_model.model.model.layers.0.mlp.up_proj.lora_A.bias", "not a LoRA pair|is not served"),
        ("../../etc/passwd", "whole module"),
    ],
)
def test_tensors_that_are_no_lora_pair_are_named(adapter_copy: Path, name: str, words: str) -> None:
    rewrite(adapter_copy, lambda tensors: {**tensors, name: torch.zeros(2)})
    with pytest.raises(BadAdapter, match=words):
        read_peft_folder(adapter_copy, BASE).pairs()


def test_half_a_pair_is_refused(adapter_copy: Path) -> None:
    rewrite(adapter_copy, lambda tensors: {k: v for k, v in tensors.items() if "0.mlp.up_proj.lora_B" not in k})
    with pytest.raises(BadAdapter, match="lora_A alone"):
        read_peft_folder(adapter_copy, BASE).pairs()
