"""What stands outside a map where a convolution looks over its border."""

from torch import nn

PADDING_MODES = ("zeros", "reflect", "replicate")


def set_padding_mode(network: nn.Module, mode: str) -> None:
    """Let every convolution of `network`, whoever wrote it, pad by `mode`, in place."""
    if mode not in PADDING_MODES:
        raise ValueError(f"model.padding_mode={mode}: one of {', '.join(PADDING_MODES)} is needed")
    for module in network.modules() if mode != "zeros" else ():  # it has others where it needs them
        if isinstance(module, nn.Conv2d):
            if type(module).forward is not nn.Conv2d.forward:
                raise ValueError(
                    f"model.padding_mode={mode}: {type(module).__name__} pads by itself; "
                    "model.padding_mode=zeros leaves it as it is"
                )
            # A convolution reads its mode at each call.
            module.padding_mode = mode  # type: ignore[assignment]
