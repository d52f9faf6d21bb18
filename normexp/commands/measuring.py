"""Carries out what claims measure without training, over a grid of settings of `normexp train`."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig
from tqdm import tqdm

from normexp import build
from normexp.errors import UserError, mistakes_told
from normexp.report.claims import Claim
from normexp.report.measured import write_measured
from normexp.runs.record import Measurement, Measurements


def measure(claims: Sequence[Claim], outputs: Path, settings: Sequence[str]) -> None:
    """Carry out the measurements of `claims`, with `settings` as typed for `normexp train`."""
    for claim in claims:
        if claim.measurement is None:
            continue
        cells = list(
            product(grid(claim.measurement["settings"]), range(claim.measurement["seeds"]))
        )
        found = []
        for cell, seed in tqdm(cells, desc=claim.name, unit=" networks", disable=None, leave=False):
            typed = [f"{key}={value}" for key, value in cell.items()]
            cfg = hydra.compose("train", overrides=[*settings, *typed, f"seed={seed}"])
            found.append(Measurement(cell, seed, values(claim, cfg)))
        command = ["normexp", "claims", f"claim={claim.name}", "measure=true", *settings]
        write_measured(outputs, Measurements(claim.name, shlex.join(command), tuple(found)))


def grid(settings: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield each combination of listed values."""
    listed = [value if isinstance(value, list) else [value] for value in settings.values()]
    for choice in product(*listed):
        yield dict(zip(settings, choice, strict=True))


def values(claim: Claim, cfg: DictConfig) -> dict[str, float]:
    """Measure the network that `cfg` describes."""
    import torch

    from normexp.environment import choose_device

    assert claim.measurement is not None
    where = f"claims/{claim.name}.yaml: "
    function = build.make(claim.measurement["of"], f"{where}measurement.of")
    spec, runtime = build.run_spec(cfg)
    if runtime.threads is not None:
        torch.set_num_threads(runtime.threads)
    device = choose_device(runtime.device)
    with mistakes_told(where):
        images = build.images(spec).to(device)
        standardise = build.standardiser(spec.data, images.train)
        loader = build.loader(spec, images.train, standardise)
        network = build.network(spec, len(images.classes)).to(device)
        number = claim.measurement["batches"]
        if number > loader.batches_per_epoch:
            raise UserError(
                f"{where}{number} batches of {spec.batch_size} are more images than the "
                f"{len(images.train)} for training; data.limit and data choose how many there are"
            )
        epoch = loader.epoch(0)
        with torch.random.fork_rng():
            measured = function(network, [epoch.batch(i) for i in range(number)])
    return {name: float(value) for name, value in measured.items()}
