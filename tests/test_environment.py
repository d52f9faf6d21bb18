"""The device and the precision of a run."""

from __future__ import annotations

import pytest
import torch

from normexp.environment import choose_device
from normexp.errors import UserError
from normexp.precision import Precision


@pytest.mark.parametrize("device", ["mps", "xpu", "meta", "cuda:77", "nonsense"])
def test_a_device_that_cannot_be_used_is_refused_in_a_line(device: str) -> None:
    with pytest.raises(UserError, match=rf"^runtime\.device={device} .*try auto, cpu or cuda$"):
        choose_device(device)


def test_tf32_is_for_nvidia_gpus() -> None:
    with pytest.raises(UserError, match=r"^precision=tf32 is for NVIDIA GPUs"):
        Precision.choose("tf32", torch.device("cpu"))
