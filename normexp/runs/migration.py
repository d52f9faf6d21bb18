"""Records of format 0, which commit f186aea wrote."""

from normexp.runs.plain import Plain

FORMER_SGD = "normexp.engine.sgd.SGD"
SGD = "torch.optim.SGD"  # with `fused`, it does the same to the bit
MUON = "normexp.engine.muon.Muon"
FORMER_NS_STEPS = 3


def migrated_run(plain: Plain) -> Plain:
    settings = {**plain["settings"], "kernels": "auto", "accumulate": 1}
    if "content" in settings["data"]["source"]:  # all images were RGB and of one size
        source = {**settings["data"]["source"], "convert": True, "resize": None}
        settings["data"] = {**settings["data"], "convert": True, "source": source}
    optimizer = settings["optimizer"]
    if optimizer["algorithm"]["_target_"] == FORMER_SGD:
        algorithm = {**optimizer["algorithm"], "_target_": SGD, "fused": True}
        settings["optimizer"] = {**optimizer, "algorithm": algorithm}
    elif optimizer["algorithm"]["_target_"] == MUON:
        algorithm = {**optimizer["algorithm"], "ns_steps": FORMER_NS_STEPS}
        settings["optimizer"] = {**optimizer, "algorithm": algorithm}
    return {**plain, "settings": settings, "numerics": 1, "source": {}}


def migrated_result(plain: Plain) -> Plain:
    without_name = {key: value for key, value in plain.items() if key != "name"}
    return {
        **without_name,
        "numerics": 1,
        "environment": migrated_environment(plain["environment"]),
    }


def migrated_lens(plain: Plain) -> Plain:
    return {**plain, "environment": migrated_environment(plain["environment"])}


def migrated_environment(plain: Plain) -> Plain:
    """Return an environment with `kernels` for `norms`."""
    environment = dict(plain)
    environment["kernels"] = "compiled" if environment.pop("norms", None) == "kernels" else "none"
    return environment
