"""The members that train one run together: rows shared out, gradients added up, the first speaking for all.

Every member has the whole order of rows, so each knows a step's batches and over how many tokens its loss is the mean;
it learns from its share of the rows, and sums of gradients are added up over all. Equal shares of tokens are not
needed, and nothing depends on how many forward passes a loss takes. This is why torch's own wrapper is not used: it
takes the mean of the members' gradients, and every member must pass through it as often as the others.

Two groups: `work` adds up what lies on the devices, `talk` (gloo, always on the processor) carries short messages as
JSON. Only the first member waits with a limit; the others end with it.
"""

from __future__ import annotations

import json
import os
import random
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from engine.compute.training.batches import Batch, rows_between, rows_of
from engine.compute.training.checkpoint import Chance
from engine.contract.members import Strategy

FOREVER = timedelta(days=90)
BUCKET = 16 << 20
"""Numbers that are added up at once."""
INTERFACES = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")
"""Set to the computer's own: all members are on one, and nobody outside it can reach them."""
PLACE = "LOCAL_RANK"
"""Which DeepSpeed asks for all the time, and by which accelerate would wrap the next model."""
MESSAGE_BYTES = 64 << 20


class MemberLost(Exception):
    """A member did not answer."""

    def __init__(self, number: int | None, in_time: bool) -> None:
        super().__init__(f"member {number} {'broke off' if in_time else 'did not come in time'}")
        self.number = number
        self.in_time = in_time
        """It broke off; else it was waited for in vain."""


class Members:
    """All of them, as one of them sees it."""

    def __init__(self, number: int, count: int, meeting: Path, patience: float, strategy: Strategy = "ddp") -> None:
        """`meeting` is a file in the attempt's folder; `patience` in seconds, of the first member."""
        self.number, self.count = number, count
        self.strategy = strategy
        self.shards = strategy != "ddp"
        """What learns is parted: all must pass through the model equally often."""
        self.spare: Batch = {}
        """A row to pass through the model where none is left."""
        self.idle = False
        """It is passed through now, and counts nothing."""
        self.passes: list[int] = []
        """Of each micro batch that is to come in this step."""
        self.store = dist.FileStore(str(meeting), count)
        self.store.set_timeout(FOREVER)
        self._patience = timedelta(seconds=patience) if number == 0 else FOREVER
        self._talk: Any = None
        self.listening = False
        """The others wait for what the first member says."""
        self.joined: Callable[[list[dict[str, Any]]], None] = lambda _told: None
        """Called once all are there, with what the others said of themselves."""
        self.myself: dict[str, Any] = {}
        self.heard_last = ""

    @property
    def leads(self) -> bool:
        """This is the first, which reports and saves."""
        return self.number == 0

    def join(self, device: torch.device) -> None:
        """Meet the others, once."""
        if self._talk is not None:
            return
        inside = next((name for _, name in socket.if_nameindex() if name in ("lo", "lo0")), "lo")
        os.environ.update(dict.fromkeys(INTERFACES, inside))
        self.store.set(f"here-{self.number}", b"1")
        for number in range(self.count):
            self.store.get(f"here-{number}")  # however long another one takes to load
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(
            backend, store=self.store, rank=self.number, world_size=self.count, timeout=self._patience
        )  # fmt: skip
        self._talk = dist.new_group(backend="gloo", timeout=self._patience)
        if self.leads:
            self.joined(self.hear_all())
        else:
            self.say(self.myself)

    def another_group(self) -> Any:
        """Of all, on the devices, for a library that wants one of its own; it waits as long as this does."""
        return dist.new_group(range(self.count), timeout=self._patience)

    # Words.

    def tell(self, **message: Any) -> None:
        """From the first member to all others."""
        data = _packed(message)
        with _watched(None):
            dist.broadcast(torch.tensor([len(data)]), src=0, group=self._talk)
            dist.broadcast(data, src=0, group=self._talk)

    def hear(self) -> dict[str, Any]:
        """What the first member tells."""
        size = torch.zeros(1, dtype=torch.int64)
        dist.broadcast(size, src=0, group=self._talk)
        data = torch.zeros(_checked(int(size)), dtype=torch.uint8)
        dist.broadcast(data, src=0, group=self._talk)
        return _unpacked(data)

    def say(self, message: dict[str, Any]) -> None:
        """From another member to the first."""
        data = _packed(message)
        dist.send(torch.tensor([len(data)]), dst=0, group=self._talk)
        dist.send(data, dst=0, group=self._talk)

    def hear_all(self) -> list[dict[str, Any]]:
        """What each of the others says; raises MemberLost with the number of one that does not."""
        return [self._hear_from(number) for number in range(1, self.count)]

    def _hear_from(self, number: int) -> dict[str, Any]:
        size = torch.zeros(1, dtype=torch.int64)
        with _watched(number):
            dist.recv(size, src=number, group=self._talk)
            data = torch.zeros(_checked(int(size)), dtype=torch.uint8)
            dist.recv(data, src=number, group=self._talk)
        return _unpacked(data)

    def ask(self, what: str, meanwhile: Callable[[], Any] = lambda: None, **more: Any) -> Any:
        """Have all others do something between two steps, and wait until it is done; what came of `meanwhile`."""
        if not self.listening:
            return meanwhile()
        self.tell(what=what, **more)
        found = meanwhile()
        self.hear_all()
        return found

    def release(self, stop: bool) -> None:
        """The first member has done what was to be done between two steps."""
        self.tell(what="go", stop=stop)
        self.listening = stop

    def dismiss(self) -> None:
        """Nothing is left to do together."""
        if self.listening:
            self.listening = False
            self.tell(what="end")

    def leave(self) -> None:
        """The end of it, for this member."""
        if self._talk is not None:
            self._talk, self.listening = None, False
            os.environ.pop(PLACE, None)
            dist.destroy_process_group()

    # Rows and gradients.

    def share(self, batch: Batch) -> Batch:
        """The rows of a batch that are this member's; may be none."""
        begin, end = share_of(rows_of(batch), self.number, self.count)
        return rows_between(batch, begin, end)

    def most(self, rows: int) -> int:
        """Rows of the largest share."""
        return -(-rows // self.count)

    def add_up(self, weights: Sequence[torch.Tensor], loss: torch.Tensor | float, device: torch.device) -> torch.Tensor:
        """Make every gradient the sum over all members, and return that of the loss.

        A weight that no member has a gradient for stays without one: optimisers pass over those.
        """
        there = [float(weight.grad is not None) for weight in weights]
        head = torch.tensor([0.0, *there], dtype=torch.float64, device=device)
        head[0] = torch.as_tensor(loss, device=device).double()
        with _watched(None):
            dist.all_reduce(head)
            found = head.tolist()
            for weight, count in zip(weights, found[1:], strict=True):
                if count and weight.grad is None:
                    weight.grad = torch.zeros_like(weight)
            _all_reduce([weight.grad for weight in weights if weight.grad is not None])
        self.listening = self.leads
        return head[0].float()

    def same(self, weights: Iterable[torch.Tensor]) -> None:
        """Let all begin with the first member's weights."""
        with _watched(None), torch.no_grad():
            for bucket in _buckets([weight.data for weight in weights]):
                flat = torch._utils._flatten_dense_tensors(bucket)
                dist.broadcast(flat, src=0)
                _put_back(bucket, flat)

    # Chance.

    def draw_apart(self, seed: int, step: int) -> None:
        """Chance of this member's own from here on; the first keeps what it has."""
        if self.leads:
            return
        state = np.random.SeedSequence([seed, step, self.number]).generate_state(3)
        torch.manual_seed(int(state[0]))
        np.random.seed(int(state[1]))
        random.seed(int(state[2]))

    def chance_file(self, folder: Path) -> Path:
        """Where a checkpoint keeps this member's chance."""
        return folder / f"chance-{self.number}.pt"

    def go_on_drawing(self, folder: Path, made_by: int, seed: int, step: int) -> None:
        """Chance as a checkpoint of as many members keeps it; else chance of its own."""
        file = self.chance_file(folder)
        if made_by == self.count and file.is_file():
            Chance.load(file).restore()
        else:
            self.draw_apart(seed, step)


def share_of(rows: int, number: int, count: int) -> tuple[int, int]:
    """The first and behind the last of a member's rows: shares differ by one row at most."""
    return rows * number // count, rows * (number + 1) // count


def _packed(message: dict[str, Any]) -> torch.Tensor:
    return torch.from_numpy(np.frombuffer(json.dumps(message).encode(), dtype=np.uint8).copy())


def _unpacked(data: torch.Tensor) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(data.numpy().tobytes())
    return found


def _checked(size: int) -> int:
    if not 0 < size <= MESSAGE_BYTES:
        raise RuntimeError(f"a message of {size} bytes")
    return size


class _watched:  # noqa: N801 - read as a word of the sentence it stands in
    """What gloo and NCCL raise, as the loss of a member."""

    def __init__(self, number: int | None) -> None:
        self._number = number

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, RuntimeError) and self._is_theirs(error):
            late = "timed out" in str(error).lower() or "timeout" in str(error).lower()
            raise MemberLost(self._number, in_time=not late) from error

    def _is_theirs(self, error: RuntimeError) -> bool:
        del error
        return True


class watched_all(_watched):  # noqa: N801
    """The same around much else, which may fail for reasons of its own."""

    def __init__(self) -> None:
        super().__init__(None)

    def _is_theirs(self, error: RuntimeError) -> bool:
        return isinstance(error, dist.DistError) or "gloo" in str(error).lower()


def _buckets(tensors: Sequence[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """In their order, of one number form and device each."""
    bucket: list[torch.Tensor] = []
    size = 0
    for tensor in tensors:
        if bucket and (size + tensor.numel() > BUCKET or _form(tensor) != _form(bucket[0])):
            yield bucket
            bucket, size = [], 0
        bucket.append(tensor)
        size += tensor.numel()
    if bucket:
        yield bucket


def _form(tensor: torch.Tensor) -> tuple[torch.dtype, torch.device]:
    return tensor.dtype, tensor.device


def _all_reduce(tensors: Sequence[torch.Tensor]) -> None:
    for bucket in _buckets(tensors):
        flat = torch._utils._flatten_dense_tensors(bucket)
        dist.all_reduce(flat)
        _put_back(bucket, flat)


def _put_back(bucket: list[torch.Tensor], flat: torch.Tensor) -> None:
    for tensor, found in zip(bucket, torch._utils._unflatten_dense_tensors(flat, bucket), strict=True):
        tensor.copy_(found)
