"""Find what a store refuses in a batch, so that one record never blocks the others."""

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def refused_among(batch: Sequence[T], accepts: Callable[[Sequence[T]], bool]) -> list[T]:
    """Return what `accepts` takes in no company, found by halving the batch.

    `accepts` is called for parts that together are the batch; of those that it takes, each
    stands in exactly one.
    """
    if not batch or accepts(batch):
        return []
    if len(batch) == 1:
        return list(batch)
    half = len(batch) // 2
    return refused_among(batch[:half], accepts) + refused_among(batch[half:], accepts)
