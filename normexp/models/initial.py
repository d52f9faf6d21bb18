"""First weights.

He et al., "Delving Deep into Rectifiers", ICCV 2015.
"""

from torch import nn


def he_initialise(network: nn.Module) -> None:
    """Draw every convolution's weights with variance 2 / fan-out, from torch's generator."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
