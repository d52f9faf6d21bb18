"""The files of claims and of their studies, where settings come from."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from yaml import YAMLError  # type: ignore[import-untyped]

from normexp.analysis.claims.claim import Claim
from normexp.analysis.claims.read import read_claim
from normexp.errors import UserError, suggestion

FORMS = {"small": "", "full": "_full"}  # what the name of a study ends in


def chosen(wanted: Sequence[str]) -> list[Claim]:
    """Return the claims of these names, or all; raises UserError where there is no such claim."""
    places = folders("claims")
    files = {file.stem: file for folder in places for file in sorted(folder.glob("*.yaml"))}
    names = list(files) if wanted == ["all"] else wanted
    for name in names:
        if name not in files:
            raise UserError(f"claim={name}: there is no such claim; {suggestion(name, files)}")
    return [read_claim(name, loaded(files[name]), digest_of(files[name])) for name in names]


def folders(name: str) -> list[Path]:
    """Return the folders of this name where settings come from."""
    sources = HydraConfig.get().runtime.config_sources
    return [Path(source.path, name) for source in sources if source.schema == "file"]


def digest_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:8]


def loaded(file: Path) -> object:
    """Return what is in a claim's file; raises UserError where it is no YAML."""
    try:
        return OmegaConf.to_container(OmegaConf.load(file))
    except (YAMLError, OSError, ValueError) as error:
        raise UserError(f"{file}: {' '.join(str(error).split())}") from error


def amounts(study: str) -> dict[str, str]:
    """Return what the files of a study say of its commands: how many runs, and how long."""
    found: dict[str, str] = {}
    for folder in folders("experiment"):
        files = (folder / f"{study}{form}.yaml" for form in FORMS.values())
        for file in filter(Path.is_file, files):
            for line in file.read_text(encoding="utf-8").splitlines():
                if line.startswith("# normexp "):
                    command, _, amount = line.removeprefix("# ").partition("   ")
                    found[command] = amount.strip()
    return found
