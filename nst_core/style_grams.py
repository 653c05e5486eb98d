"""Gram matrices of style images, computed once and kept: in memory, and in a folder if given."""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

Grams = dict[str, Tensor]

# To be raised when the same key is to mean other matrices.
_FORMAT = 2
_IN_MEMORY_BYTES = 256 * 2**20


class StyleGrams:
    """Layer -> Gram matrix of each style, by a key that says all they depend on. For any thread.

    Args:
        folder: where they are kept beyond this process, one .safetensors file a key; made here,
            and not again where it goes. A file that is damaged or another's is computed and
            written again; where none can be written, they are computed anew in each process.
        in_memory_bytes: the least recently used leave memory beyond this.
    """

    def __init__(self, folder: Path | None = None, in_memory_bytes: int = _IN_MEMORY_BYTES) -> None:
        self._folder = folder
        if folder is not None:
            with suppress(OSError):
                folder.mkdir(parents=True, exist_ok=True)
        self._most_bytes = in_memory_bytes
        self._kept: OrderedDict[tuple[str, str], Grams] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: str, device: str, compute: Callable[[], Grams]) -> Grams:
        """The matrices of this key: layer -> 1 x C x C, float32, on this device.

        Args:
            key: says all that they depend on.
            device: as text, "cpu" or "cuda:0"; where `compute` leaves them.
            compute: makes them where they are not kept yet.
        """
        place = (key, device)
        with self._lock:
            if place in self._kept:
                self._kept.move_to_end(place)
                return self._kept[place]
        grams = self._read(key, device)
        if grams is None:
            grams = compute()
            self._write(key, grams)
        with self._lock:
            if place not in self._kept:
                self._kept[place] = grams
                self._bytes += _size_bytes(grams)
            while self._bytes > self._most_bytes and len(self._kept) > 1:
                self._bytes -= _size_bytes(self._kept.popitem(last=False)[1])
        return grams

    def _file(self, key: str) -> Path | None:
        name = hashlib.sha256(f"{_FORMAT}|{key}".encode()).hexdigest()[:32]
        return None if self._folder is None else self._folder / f"{name}.safetensors"

    def _read(self, key: str, device: str) -> Grams | None:
        file = self._file(key)
        if file is None or not file.exists():
            return None
        try:
            with safe_open(file, framework="pt") as opened:
                layers = opened.keys()
                grams = {layer: opened.get_tensor(layer) for layer in layers}
                whole = (opened.metadata() or {}).get("sha256") == _sha256(key, grams)
        except (OSError, SafetensorError):
            return None
        return {layer: gram.to(device) for layer, gram in grams.items()} if whole else None

    def _write(self, key: str, grams: Grams) -> None:
        file = self._file(key)
        if file is None:
            return
        on_cpu = {layer: gram.cpu().contiguous() for layer, gram in grams.items()}
        temporary = file.with_name(f"{os.getpid()}-{secrets.token_hex(8)}.tmp")
        # No result needs the file: one that cannot be kept costs time alone.
        with suppress(OSError, SafetensorError):
            try:
                save_file(on_cpu, temporary, {"sha256": _sha256(key, on_cpu)})
                os.replace(temporary, file)
            finally:
                temporary.unlink(missing_ok=True)


def _sha256(key: str, grams: Grams) -> str:
    """Of matrices on the CPU and the key that they belong to."""
    digest = hashlib.sha256(key.encode())
    for layer, gram in sorted(grams.items()):
        digest.update(f"|{layer} {gram.dtype} {tuple(gram.shape)}|".encode())
        digest.update(gram.contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _size_bytes(grams: Grams) -> int:
    return sum(gram.numel() * gram.element_size() for gram in grams.values())
