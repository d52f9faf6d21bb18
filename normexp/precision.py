"""In which numbers a network computes. Statistics of norms are in fp32 always."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Precision:
    """`fp32`, or `bf16`: convolutions and linear layers in bfloat16, weights in fp32."""

    name: str
    device: torch.device

    @classmethod
    def choose(cls, setting: str, device: torch.device) -> Precision:
        """`auto` is bf16 where the hardware has it, else fp32."""
        if setting == "auto":
            setting = "bf16" if has_bf16(device) else "fp32"
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
