"""The training step as one CUDA graph: a small step costs a GPU less than its launches do."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from normexp.engine.muon import Muon
from normexp.engine.state import TrainingState

Batches = Sequence[tuple[Tensor, Tensor]]
Step = Callable[[Batches], None]
Capture = Callable[[Callable[[], None]], Callable[[], None]]
"""Records what a function launches, without executing it, and returns what launches it again."""

WARM_UP = 3
"""Steps before a recording: cuDNN makes its choices, and optimizers their state, in the first."""
KNOWN = ("torch", "torchvision", "timm", "normexp")
"""Packages whose layers do in each step what they did in the one before."""


class Recorded:
    """Carries out `step` on batches of one shape: as it is three times, then as it was recorded.

    A recording repeats what was launched on the device, with the values that tensors have then.
    What cannot be recorded goes on as it is; `note` is told why.
    """

    def __init__(self, step: Step, capture: Capture, note: Callable[[str], None]) -> None:
        self._step, self._capture, self._note = step, capture, note
        self._inputs: Batches = ()
        self._replay: Callable[[], None] | None = None
        self.forget()

    def forget(self) -> None:
        """Record anew, after some steps, as the step is another from now on."""
        self._until_recorded = WARM_UP
        self._replay = None

    def __call__(self, batches: Batches) -> None:
        if self._replay is None:
            if self._until_recorded == 0:
                self._record(batches)
            self._until_recorded -= 1  # below 0 where it could not be recorded
        if self._replay is None:
            self._step(batches)
            return
        for own, given in zip(self._inputs, batches, strict=True):
            for mine, new in zip(own, given, strict=True):
                mine.copy_(new)
        self._replay()

    def _record(self, batches: Batches) -> None:
        self._inputs = [(images.clone(), labels.clone()) for images, labels in batches]
        try:
            self._replay = self._capture(lambda: self._step(self._inputs))
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0]
            self._note(f"training steps are not recorded as a CUDA graph: {reason}")


def recorded(step: Step, state: TrainingState, note: Callable[[str], None]) -> Recorded | None:
    """Return what records `step`, the optimizer's step of `state`, on a GPU; None elsewhere."""
    device = state.totals.device
    if device.type != "cuda":
        return None
    if reason := why_not(state.network, state.optimizer):
        note(f"training steps are not recorded as a CUDA graph: {reason}")
        return None
    for group in state.optimizer.param_groups:
        group["lr"] = torch.as_tensor(group["lr"], dtype=torch.float32, device=device)
        if "capturable" in group:
            group["capturable"] = True
    # A recording cannot be made on the default stream, and gradients are added up on the stream of
    # the first backward pass.
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream(device))
    torch.cuda.set_stream(stream)
    return Recorded(step, cuda_graph, note)


def why_not(network: nn.Module, optimizer: torch.optim.Optimizer) -> str | None:
    """Return why a step cannot be recorded, or None if it can."""
    for module in network.modules():
        if type(module).__module__.partition(".")[0] not in KNOWN:
            name = type(module).__name__
            return f"{name} is code of your own, which may change from step to step"
    groups = optimizer.param_groups
    if isinstance(optimizer, Muon) or all("capturable" in g or g.get("fused") for g in groups):
        return None
    return f"{type(optimizer).__name__} reads its learning rate on the CPU"


def cuda_graph(run: Callable[[], None]) -> Callable[[], None]:
    """Record what `run` launches on the current CUDA device."""
    graph = torch.cuda.CUDAGraph()
    stream = torch.cuda.current_stream()
    with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        run()
    return graph.replay
