"""Random numbers with a purpose: each has a stream of its own."""

import hashlib

import torch


def stream(*purpose: int | str) -> torch.Generator:
    """Return the generator of what `purpose` names, such as a seed, an epoch and a word."""
    key = hashlib.sha256("/".join(map(str, purpose)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(key[:8], "little", signed=True))
