"""Whether a network can work at all, found out before it is trained."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

# Logits of random images differ by about 1 in a network that sees them; by rounding in one that
# does not.
SAME = 1e-4
ALIKE = 1e-2
"""Of that difference: rounding of a batch of another size is far below it."""
Inputs = tuple[Any, ...]
Named = dict[str, Any]
"""What a layer is called with: by position, and by keyword."""
VIEW_REMEDY = " Maps are channels-last here: x.flatten(1) in the place of x.view(len(x), -1)"


def check(
    network: nn.Module,
    image_size: tuple[int, int],
    batch_size: int,
    num_classes: int,
    norms: Sequence[str] = (),
) -> str | None:
    """Run a copy of `network` on random images, in training and in evaluation mode.

    Returns a warning where the network gives every image the same logits, or in evaluation other
    ones beside other images. Raises ValueError, naming the layer, where a layer refuses (instance
    norm on 1×1 maps, say), or the network returns something else than logits (N, K) of K classes,
    or one of the `norms`, by name, something else than a tensor of its input's shape.
    """
    trial = copy.deepcopy(network).cpu().to(memory_format=torch.channels_last)
    entered: list[str] = []
    shapes: dict[str, list[int]] = {}

    def note(name: str) -> Callable[[nn.Module, Inputs, Named], None]:
        def hook(_: nn.Module, inputs: Inputs, named: Named) -> None:
            entered.append(name)
            shapes[name] = _shape(inputs, named)

        return hook

    def keep_shape(name: str) -> Callable[[nn.Module, Inputs, Named, object], None]:
        def hook(_: nn.Module, inputs: Inputs, named: Named, output: object) -> None:
            if isinstance(output, Tensor) and [*output.shape] == _shape(inputs, named):
                return
            note(name)(_, inputs, named)
            if not isinstance(output, Tensor):
                raise TypeError(f"it returns {type(output).__name__}, and a tensor is needed")
            raise ValueError(f"it returns {list(output.shape)}, and a norm keeps the shape")

        return hook

    for name in norms:
        norm = trial.get_submodule(name)
        norm.register_forward_hook(keep_shape(name), prepend=True, with_kwargs=True)
    for name, module in trial.named_modules():
        if not list(module.children()):
            module.register_forward_pre_hook(note(name), with_kwargs=True)
    generator = torch.Generator().manual_seed(0)
    for module in trial.modules():  # the last may start at 0, and then all logits are 0 too
        if isinstance(module, nn.Linear) and not module.weight.any():
            nn.init.normal_(module.weight, generator=generator)
    same = []
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            for mode, num_images in ((True, min(batch_size, 8)), (False, 8)):
                images = torch.randn(num_images, 3, *image_size, generator=generator)
                images = images.contiguous(memory_format=torch.channels_last)  # as in training
                logits = trial.train(mode)(images)
                if not isinstance(logits, Tensor):
                    entered.clear()
                    raise TypeError(  # noqa: TRY301 (as what a layer raises)
                        f"it returns {type(logits).__name__}, and logits (N, K) are needed; "
                        "torchvision's networks with a second head: +model.network.aux_logits=false"
                    )
                if logits.shape != (num_images, num_classes):
                    entered.clear()
                    raise ValueError(  # noqa: TRY301
                        f"it returns {list(logits.shape)} for {num_images} images, and logits "
                        f"{[num_images, num_classes]} are needed; it is called with num_classes="
                        f"{num_classes}"
                    )
                if num_images > 1:
                    spread = (logits - logits.mean(0)).abs().max()
                    same.append(bool(spread < SAME * logits.abs().max().clamp_min(1e-6)))
            among_fewer = trial(images[:4])
    except (ValueError, TypeError, RuntimeError) as error:
        where = f"layer {entered[-1]} (input {shapes[entered[-1]]})" if entered else "the network"
        mode_name = "training" if trial.training else "evaluation"
        remedy = VIEW_REMEDY * ("view size is not compatible" in str(error))
        raise ValueError(
            f"{where} cannot work in {mode_name} at batch_size={batch_size}: {error}{remedy}"
        ) from error
    if all(same):
        return (
            "the network gives every image the same answer: nothing but linear steps and average "
            "pooling follow a norm that fixes each image's mean; accuracy will be chance"
        )
    if (logits[:4] - among_fewer).abs().max() > ALIKE * spread:
        return (
            "in evaluation an image's answer hangs on the other images in its batch, as with a "
            "norm without running statistics; so does the test accuracy"
        )
    return None


def _shape(inputs: Inputs, named: Named) -> list[int]:
    first = next(iter((*inputs, *named.values())), None)
    return [*getattr(first, "shape", ())]
