"""How much the features of images differ from one another in a network that is not trained."""

import copy

import torch
from torch import Tensor, nn

NUM_IMAGES = 64


@torch.no_grad()
def feature_spread(network: nn.Module, images: Tensor) -> float | None:
    """Return the spread over images of the last linear layer's inputs (N, D) in training mode.

    It is their standard deviation over the images, as a root mean square over the features,
    divided by the root mean square of all of them. `images` (N, 3, H, W) are standardised. None
    where the network has no linear layer. The network stays as it is.

    After instance norm, ReLU and global average pooling it is about a tenth of what it is after
    batch norm: all images look alike, and the training begins slowly.
    """
    trial = copy.deepcopy(network).train()
    linear = [module for module in trial.modules() if isinstance(module, nn.Linear)]
    if not linear:
        return None
    seen: list[Tensor] = []
    linear[-1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # layers that draw noise
        trial(images)
    features = seen[-1].double().flatten(1)
    spread = features.var(0, correction=0).mean().sqrt()
    size = features.square().mean().sqrt()
    found = (spread / size).item()
    return found if size > 0 and found == found else None
