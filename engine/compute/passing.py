"""Work with tensors beside a thread that computes all the time: on threads that end.

The OpenMP of torch on Linux (libgomp) counts the threads of all teams a process has. A thread that multiplied once
has a team until it ends; where teams together have more threads than there are processors, idle ones sleep at once,
and each product waits some 80 µs for one to wake. A token of a small model took 2.2 times as long for it.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def in_passing(work: Callable[[], T]) -> T:
    """Do it on a thread that ends with it, and its team too; waits for it, and raises what it raises."""
    with ThreadPoolExecutor(1, "passing") as thread:
        return thread.submit(work).result()
