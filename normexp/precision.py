"""In which numbers a network computes. Statistics of norms are in fp32 always."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from normexp.errors import UserError


@dataclass(frozen=True)
class Precision:
    """`fp32`; `bf16`: convolutions and linear layers in bfloat16, weights in fp32; or `tf32`.

    `tf32` is float32 whose products have 10 bits of mantissa, on NVIDIA GPUs.
    """

    name: str
    device: torch.device

    @classmethod
    def choose(cls, setting: str, device: torch.device) -> Precision:
        """`auto` is bf16 where the hardware has it, else fp32; raises UserError for tf32 on a CPU.

        torch's own default on a GPU is tf32 in convolutions, under the name of float32.
        """
        if setting == "auto":
            setting = "bf16" if has_bf16(device) else "fp32"
        if device.type == "cuda":
            products = "tf32" if setting == "tf32" else "ieee"
            torch.backends.cudnn.conv.fp32_precision = products  # type: ignore[attr-defined]
            torch.backends.cuda.matmul.fp32_precision = products
        elif setting == "tf32":
            raise UserError(f"precision=tf32 is for NVIDIA GPUs, and this is a {device.type}")
        return cls(setting, device)

    def autocast(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.name == "bf16")


def has_bf16(device: torch.device) -> bool:
    """Whether `device` multiplies bfloat16 in hardware."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        has = torch.cpu.get_capabilities()
        return bool(has.get("avx512_bf16") or has.get("amx_bf16") or has.get("bf16"))
    return False
