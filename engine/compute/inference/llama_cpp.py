"""llama.cpp behind the engine: it computes a step's logits, the engine does all else.

A base model and adapters are written as files of llama.cpp aside, and one context holds the sequences of all requests.
Adapters belong to a context as a whole there: rows of different ones are computed one after the other.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.compute.inference.engine.blocks import BlockPool
from engine.compute.inference.engine.paged import Row
from engine.compute.inference.engine.passes import Adapters
from engine.compute.inference.gguf_files import write_adapter, write_base
from engine.compute.lora.manager import LoRAManager
from engine.contract.errors import UserError
from engine.contract.gguf import GgufStorage

MICRO_BATCH = 512


class Sequences(BlockPool):
    """Blocks that only count how much there is: the cache itself is llama.cpp's, and knows sequences, not blocks."""

    def __init__(self, count: int, size: int) -> None:
        super().__init__(count, size)
        self.gone: Callable[[int], None] = lambda _sequence: None
        """Told the first block of a sequence that is over."""

    def beginning(self, names: Sequence[bytes]) -> int:
        """None is known: nothing is shared between requests."""
        del names
        return 0

    def keep(self, name: bytes, block: int) -> None:
        """Nothing is kept."""

    def give_back(self, table: Sequence[int]) -> None:
        """The sequence is over."""
        self.gone(table[0])
        super().give_back(table)


class LlamaPasses:
    """As `Passes`, of a model's folder."""

    def __init__(
        self,
        folder: Path,
        work: Path,
        pool: Sequences,
        rows: int,
        piece: int,
        adapters: LoRAManager,
        storage: GgufStorage = "q8_0",
    ) -> None:
        """`work`: a folder of one's own for the files that are made."""
        self._library = library()
        self.pool: BlockPool = pool
        self._folder, self._work, self._adapters = folder, work, adapters
        pool.gone = self._over
        work.mkdir(parents=True, exist_ok=True)
        base = work / "base.gguf"
        base.unlink(missing_ok=True)
        write_base(folder, base, storage)
        self._model = self._library.llama_model_load_from_file(
            str(base).encode(), self._library.llama_model_default_params()
        )
        base.unlink()  # it is mapped
        if not self._model:
            raise UserError("llama.refused", path=str(folder))
        self._context = self._make_context(rows, piece)
        self._memory = self._library.llama_get_memory(self._context)
        self._most = max(piece, rows)
        self._batch = self._library.llama_batch_init(self._most, 0, 1)
        self.words = int(self._library.llama_vocab_n_tokens(self._library.llama_model_get_vocab(self._model)))
        self._free = list(range(rows - 1, -1, -1))
        self._sequences: dict[int, int] = {}
        self._loaded: dict[str, Any] = {}

    def _make_context(self, rows: int, piece: int) -> Any:
        asked = self._library.llama_context_default_params()
        asked.n_ctx = (self.pool.count - 1) * self.pool.size
        asked.n_batch, asked.n_ubatch = max(piece, rows), min(MICRO_BATCH, max(piece, rows))
        asked.n_seq_max, asked.kv_unified = rows, True
        asked.n_threads = asked.n_threads_batch = torch.get_num_threads()
        made = self._library.llama_init_from_model(self._model, asked)
        if not made:
            raise UserError("llama.no_context", tokens=asked.n_ctx)
        return made

    def close(self) -> None:
        """Give everything back."""
        self._library.llama_batch_free(self._batch)
        for handle in self._loaded.values():
            self._library.llama_adapter_lora_free(handle)
        self._library.llama_free(self._context)
        self._library.llama_model_free(self._model)

    def logits(
        self, rows: Sequence[Row], tokens: Sequence[Sequence[int]], adapters: Sequence[Adapters]
    ) -> torch.Tensor:
        """[rows, words] of each row's last token."""
        found = torch.empty((len(rows), self.words))
        for wanted in dict.fromkeys(adapters):
            self._set(wanted)
            places = [number for number, one in enumerate(adapters) if one == wanted]
            self._decode(places, rows, tokens, found)
        return found

    def _decode(
        self, places: Sequence[int], rows: Sequence[Row], tokens: Sequence[Sequence[int]], found: torch.Tensor
    ) -> None:
        batch, count, last = self._batch, 0, dict[int, int]()
        for place in places:
            sequence = self._sequence(rows[place])
            for offset, token in enumerate(tokens[place]):
                batch.token[count], batch.pos[count] = token, rows[place].begin + offset
                batch.n_seq_id[count], batch.seq_id[count][0] = 1, sequence
                batch.logits[count] = int(offset == len(tokens[place]) - 1)
                count += 1
            last[place] = count - 1
        batch.n_tokens = count
        done = self._library.llama_decode(self._context, batch)
        if done != 0:
            raise UserError("llama.failed", code=done)
        for place, at in last.items():
            words = self._library.llama_get_logits_ith(self._context, at)
            found[place] = torch.from_numpy(np.ctypeslib.as_array(words, (self.words,)))

    def _sequence(self, row: Row) -> int:
        first = row.table[0]
        if row.begin == 0 and first not in self._sequences:
            self._sequences[first] = self._free.pop()
        return self._sequences[first]

    def _over(self, first: int) -> None:
        sequence = self._sequences.pop(first, None)
        if sequence is not None:
            self._library.llama_memory_seq_rm(self._memory, sequence, -1, -1)
            self._free.append(sequence)

    def _set(self, wanted: Adapters) -> None:
        handles = [self._handle(name) for name, _ in wanted]
        kind = self._library.llama_adapter_lora_p_ctypes
        listed = (kind * max(1, len(handles)))(*handles)
        weights = (ctypes.c_float * max(1, len(handles)))(*(weight for _, weight in wanted))
        if self._library.llama_set_adapters_lora(self._context, listed, len(handles), weights) != 0:
            raise UserError("llama.failed", code="adapter")

    def _handle(self, name: str) -> Any:
        if name not in self._loaded:
            for gone in self._loaded.keys() - set(self._adapters.names):
                self._library.llama_adapter_lora_free(self._loaded.pop(gone))
            file = self._work / "adapter.gguf"
            file.unlink(missing_ok=True)
            write_adapter(self._adapters.adapter(name), self._folder, file)
            made = self._library.llama_adapter_lora_init(self._model, str(file).encode())
            file.unlink()
            if not made:
                raise UserError("llama.adapter", name=name)
            self._loaded[name] = made
        return self._loaded[name]


def library() -> Any:
    """llama-cpp-python's own names; quiet."""
    try:
        import llama_cpp
        from llama_cpp import llama_cpp as names
    except (ImportError, OSError, RuntimeError):
        raise UserError("llama.missing") from None
    llama_cpp.llama_log_set(_QUIET or _make_quiet(llama_cpp), ctypes.c_void_p(0))
    names.llama_backend_init()
    return names


_QUIET: Any = None


def _make_quiet(llama_cpp: Any) -> Any:
    global _QUIET  # it must live as long as the library
    _QUIET = llama_cpp.llama_log_callback(lambda _level, _text, _data: None)
    return _QUIET
