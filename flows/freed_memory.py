"""What becomes of the memory that tensors on a CPU are done with; elsewhere than glibc, nothing."""

from __future__ import annotations

import ctypes
import platform
from functools import cache

# <malloc.h>
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
# The most that glibc comes to by itself; larger blocks are mapped one by one.
_MAPPED_ALONE_BYTES = 32 * 2**20
_KEPT_BYTES = 512 * 2**20


@cache
def keep_freed_memory() -> None:
    """From now on each thread keeps up to half a gibibyte for the next tensors.

    Every iteration frees and wants the same feature maps, and what went back to the system comes
    again page by page, zeroed. Dask starts workers with MALLOC_TRIM_THRESHOLD_=65536, which gives
    nearly all back: that alone halves their speed (tests/bench).
    """
    if (libc := _glibc()) is not None:
        libc.mallopt(_M_MMAP_THRESHOLD, _MAPPED_ALONE_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def give_back_freed_memory() -> None:
    """Have the system get what is kept now."""
    if (libc := _glibc()) is not None:
        libc.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
