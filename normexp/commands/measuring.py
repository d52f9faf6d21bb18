"""Carries out what claims measure without training, over a grid of settings of `normexp train`."""

import shlex
from collections.abc import Sequence
from pathlib import Path

import hydra
from omegaconf import DictConfig
from tqdm import tqdm

from normexp import build, inputs
from normexp.analysis.claims.claim import Claim, MeasurementPlan
from normexp.analysis.claims.measured import write_measured
from normexp.errors import UserError, as_user_error
from normexp.parts import make
from normexp.runs.record import Measurement, Measurements


def measure(claims: Sequence[Claim], outputs: Path, settings: Sequence[str]) -> None:
    for claim in claims:
        if claim.measurement is None:
            continue
        plan, where = claim.measurement, f"claims/{claim.name}.yaml: "
        networks = list(plan.networks())
        found = []
        for cell, seed in tqdm(networks, claim.name, unit=" networks", disable=None, leave=False):
            typed = [f"{key}={value}" for key, value in cell.items()]
            cfg = hydra.compose("train", overrides=[*settings, *typed, f"seed={seed}"])
            found.append(Measurement(cell, seed, values(plan, where, cfg)))
        command = ["normexp", "claims", f"claim={claim.name}", "measure=true", *settings]
        write_measured(outputs, Measurements(claim.name, shlex.join(command), tuple(found)))


def values(plan: MeasurementPlan, where: str, cfg: DictConfig) -> dict[str, float]:
    """Measure the network that `cfg` describes; `where` names the claim's file on an error."""
    import torch

    from normexp.environment import choose_device

    function = make(plan.of, f"{where}measurement.of")
    spec, runtime = build.run_spec(cfg)
    if runtime.threads is not None:
        torch.set_num_threads(runtime.threads)
    device = choose_device(runtime.device)
    with as_user_error(where):
        images = inputs.images(spec).to(device)
        standardise = inputs.standardiser(spec.data, images.train)
        loader = inputs.loader(spec, images.train, standardise)
        network = build.network(spec, len(images.classes)).to(device)
        if plan.batches > loader.batches_per_epoch:
            raise UserError(
                f"{where}{plan.batches} batches of {spec.batch_size} are more images than the "
                f"{len(images.train)} for training; data.limit and data choose how many there are"
            )
        epoch = loader.epoch(0)
        with torch.random.fork_rng():
            measured = function(network, [epoch.batch(i) for i in range(plan.batches)])
    return {name: float(value) for name, value in measured.items()}
