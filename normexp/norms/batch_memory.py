"""Batch norm whose running statistics remember the same number of images at every batch size.

With momentum m one batch of B images has the weight m. In B₀/B batches of B images the old
statistics keep (1 − m')^(B₀/B) of their weight, which is to be the 1 − m of one batch of B₀.
"""

from normexp.norms.batch import BatchNorm


def batch_norm_with_memory(
    num_features: int, *, eps: float, momentum: float, batch_size: int, reference_batch_size: int
) -> BatchNorm:
    """Batch norm with the momentum m' = 1 − (1 − momentum)^(batch/reference batch).

    `momentum` is torch's, the weight of the new batch, as it stands for `reference_batch_size`.
    """
    if batch_size < 1 or reference_batch_size < 1:
        raise ValueError(
            f"batch_size={batch_size} and reference_batch_size={reference_batch_size}: "
            "both must be 1 or more"
        )
    if not 0 <= momentum <= 1:
        raise ValueError(f"momentum={momentum}: it is a weight, from 0 to 1")
    scaled = 1 - (1 - momentum) ** (batch_size / reference_batch_size)
    return BatchNorm(num_features, eps=eps, momentum=scaled)
