"""Batch norm: statistics over the batch in training, running statistics in evaluation.

Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal
Covariate Shift", ICML 2015.
"""

from torch import nn

BatchNorm = nn.BatchNorm2d
