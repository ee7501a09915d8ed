"""Several rows in one sequence: how they are laid out, parted and found again. No row sees another.

The positions of each row begin at 0: by that transformers knows where a row ends, and masks attention accordingly
(`masking_utils.find_packed_sequence_indices`), or hands the lengths to flash attention.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from engine.compute.data.tokenise import Encoded

IGNORED = -100
SEGMENTS, POSITIONS, FIRSTS, FLAT = "segments", "position_ids", "firsts", "flat"
"""In a batch of such sequences: of each position whose row it is, and its place in that row; of each row the label of
its first token, which is never learned; and, where there is but one sequence, that it has all rows of the batch."""
BESIDE = (SEGMENTS, FIRSTS, FLAT)
"""What the model does not take."""
Batch = dict[str, Any]


def sequences_of(rows: Sequence[Encoded], room: int | None) -> list[list[int]]:
    """The rows by their places, sequence by sequence: one that has no room left begins the next.

    Rows as `order.packed` puts them together come together again. Without `room` all are in one.
    """
    found, used = list[list[int]](), 0
    for place, row in enumerate(rows):
        if not found or (room is not None and used + len(row) > room):
            found.append([])
            used = 0
        found[-1].append(place)
        used += len(row)
    return found or [[]]


def lay_out(rows: Sequence[Encoded], room: int | None, pad: int, multiple: int) -> Batch:
    """Sequences side by side, filled at the right with something that counts as a row of its own."""
    chosen = sequences_of(rows, room)
    width = max(sum(len(rows[place]) for place in places) for places in chosen)
    width = -(-max(width, 1) // multiple) * multiple
    shape = (len(chosen), width)
    ids, labels = np.full(shape, pad, dtype=np.int64), np.full(shape, IGNORED, dtype=np.int64)
    positions, segments = np.zeros(shape, dtype=np.int64), np.full(shape, len(rows), dtype=np.int64)
    firsts = np.full(len(rows), IGNORED, dtype=np.int64)
    for number, places in enumerate(chosen):
        at = 0
        for place in places:
            row = rows[place]
            end = at + len(row)
            values = np.frombuffer(row.ids, dtype=np.int32)
            learned = np.where(np.frombuffer(row.trained, dtype=np.int8) == 1, values, IGNORED)
            ids[number, at:end], labels[number, at:end] = values, learned
            firsts[place], labels[number, at] = learned[0], IGNORED
            positions[number, at:end], segments[number, at:end] = np.arange(len(row)), place
            at = end
        positions[number, at:] = np.arange(width - at)
    made = {"input_ids": ids, "labels": labels, POSITIONS: positions, SEGMENTS: segments, FIRSTS: firsts}
    batch: Batch = {name: torch.from_numpy(values) for name, values in made.items()}
    return batch | {FLAT: torch.ones(())} if room is None else batch


def parts_of(batch: Batch) -> int:
    """Into how many parts such a batch can be cut: its sequences, or the rows of its only one."""
    return len(batch[FIRSTS]) if FLAT in batch else len(batch["labels"])


def between(batch: Batch, begin: int, end: int) -> Batch:
    """Some of the sequences of a batch, or of the rows of its only one."""
    segments = batch[SEGMENTS]
    if FLAT in batch:
        end = min(end, len(batch[FIRSTS]))
        inside = (segments[0] >= begin) & (segments[0] < end)
        part = {name: batch[name][:, inside] for name in ("input_ids", "labels", POSITIONS, SEGMENTS)}
        part[FLAT] = batch[FLAT]
    else:
        part = {name: batch[name][begin:end] for name in ("input_ids", "labels", POSITIONS, SEGMENTS)}
        own = part[SEGMENTS]
        inside = own < len(batch[FIRSTS])
        begin, end = (int(own[inside].min()), int(own[inside].max()) + 1) if inside.any() else (0, 0)
    rows = {name: values[begin:end] for name, values in batch.items() if name not in part and values.ndim == 1}
    shifted = (part[SEGMENTS] - begin).clamp(max=end - begin)
    return {**part, **rows, SEGMENTS: shifted}


def row_of(batch: Batch, at: int) -> tuple[np.ndarray, np.ndarray]:
    """Tokens and labels of a row, as they were before it came together with others."""
    chosen = batch[SEGMENTS] == at
    labels = batch["labels"][chosen].clone()
    labels[:1] = batch[FIRSTS][at]
    return batch["input_ids"][chosen].numpy(), labels.numpy()


def sums(batch: Batch, mask: torch.Tensor, losses: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Of each row the sum of the losses of its tokens, and how many there are; `losses` stand where `mask` is true."""
    owner = batch[SEGMENTS].to(mask.device)[mask]
    count = len(batch[FIRSTS]) + 1
    total = torch.zeros(count, dtype=losses.dtype, device=losses.device).index_add_(0, owner, losses)
    return total[:-1], torch.bincount(owner, minlength=count)[:-1]


@torch.no_grad()  # type: ignore[untyped-decorator]
def keeps_rows_apart(model: torch.nn.Module, sequences: int = 1) -> bool:
    """Whether a row is the same beside others in a sequence as alone: tried, for every architecture has its own way.

    `sequences` at once: flash attention, as transformers calls it, tells rows apart in a single one only.
    """
    device = next(model.parameters()).device
    vocabulary = model.config.get_text_config().vocab_size
    first, second = (torch.tensor([ids], device=device) % vocabulary for ids in ([5, 9, 3, 7], [8, 2, 6, 4, 1]))
    positions = torch.tensor([[*range(4), *range(5)]], device=device).expand(sequences, -1)
    training = model.training
    model.eval()
    try:
        alone = torch.cat([model(input_ids=ids, use_cache=False).logits for ids in (first, second)], dim=1)
        both = torch.cat([first, second], dim=1).expand(sequences, -1)
        together = model(input_ids=both, position_ids=positions, use_cache=False).logits
        mixed = model(input_ids=both, use_cache=False).logits
        apart, seen = (float((other - alone).abs().float().max()) for other in (together, mixed))
        rounding = 8 * torch.finfo(alone.dtype).eps * float(alone.abs().float().max())
        return bool(apart <= max(0.1 * seen, rounding))
    except (TypeError, ValueError, RuntimeError, IndexError):
        return False
    finally:
        model.train(training)
