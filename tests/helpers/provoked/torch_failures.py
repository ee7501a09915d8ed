"""What torch says on a processor when something does not fit."""

from __future__ import annotations

import os
import socket
import zipfile
from pathlib import Path

import torch
from torch import nn


def token_outside_vocabulary() -> None:
    """A token id beyond the embedding's rows."""
    nn.Embedding(1000, 16)(torch.tensor([[1, 2, 32000]]))


def dtype_mismatch() -> None:
    """A layer in bf16 gets numbers in fp32."""
    nn.Linear(16, 16, dtype=torch.bfloat16)(torch.randn(2, 16))


def shapes_do_not_multiply() -> None:
    """A layer of another width."""
    nn.Linear(4096, 16)(torch.randn(2, 5120))


def half_unsupported() -> None:
    """An operation that the processor does not have in half precision: what PiSSA begins with."""
    torch.linalg.svd(torch.ones(4, 4, dtype=torch.float16))


def weights_of_another_shape() -> None:
    """Weights of a vocabulary with added tokens, and a model without them."""
    nn.Embedding(151936, 8).load_state_dict(nn.Embedding(152064, 8).state_dict())


def no_gradient() -> None:
    """Recomputed blocks between frozen embeddings and a loss: nothing asks for a gradient."""
    from torch.utils.checkpoint import checkpoint

    block = nn.Linear(8, 8)
    for parameter in block.parameters():
        parameter.requires_grad_(False)
    checkpoint(block, torch.randn(2, 8), use_reentrant=False).sum().backward()


def recomputed_otherwise() -> None:
    """A block that computes another shape when it is computed again."""
    from torch.utils.checkpoint import checkpoint

    calls = []

    def block(x: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return (x[: 2 if len(calls) > 1 else 4].exp() * 2).sum()

    checkpoint(block, torch.randn(4, 8, requires_grad=True), use_reentrant=False).backward()


def fp16_gradients() -> None:
    """Weights held in fp16, trained with loss scaling."""
    layer = nn.Linear(4, 4).half()
    optimiser = torch.optim.SGD(layer.parameters(), 0.1)
    scaler = torch.amp.GradScaler("cpu", enabled=True)
    scaler.scale(layer(torch.randn(2, 4).half()).float().sum()).backward()
    scaler.unscale_(optimiser)


def no_cuda() -> None:
    """A GPU is asked of a build that has none."""
    torch.zeros(1).to("cuda")


def pickle_refused() -> None:
    """A pickle with more than numbers in it."""
    torch.save({"step": 3, "path": Path("x")}, "optimizer.pt")
    torch.load("optimizer.pt", weights_only=True)


def archive_unknown() -> None:
    """A file of torch in which a part is missing."""
    with zipfile.ZipFile("optimizer.pt", "w") as archive:
        archive.writestr("archive/version", "3\n")
    torch.load("optimizer.pt", weights_only=True)


def _group() -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="0", GLOO_SOCKET_IFNAME="lo")
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)


def unused_parameters() -> None:
    """Several processes wait for the gradient of a layer that took no part."""
    _group()

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.used(x)

    model = nn.parallel.DistributedDataParallel(Two())
    try:
        for _ in range(2):
            model(torch.randn(2, 4)).sum().backward()
    finally:
        torch.distributed.destroy_process_group()


def port_taken() -> None:
    """The port at which processes meet belongs to another program."""
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        torch.distributed.TCPStore("127.0.0.1", port, 1, is_master=True)


def nobody_meets() -> None:
    """A process waits for others that do not come."""
    from datetime import timedelta

    torch.distributed.TCPStore("127.0.0.1", 1, 2, is_master=False, timeout=timedelta(seconds=1))


def allocator() -> None:
    """More memory than any computer has."""
    torch.empty(1 << 50)
