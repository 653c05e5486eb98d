"""The versions that the metadata carries: gramflow's, and of what results depend on besides."""

import platform
from functools import cache
from importlib.metadata import version as _installed

import torch

from manifests.identity import canonical_json

VERSION = _installed("gramflow")


def library_versions() -> dict[str, str]:
    """Of Python and of the libraries that make pixels."""
    libraries = ("torch", "albumentations", "pillow", "numpy")
    return {"python": platform.python_version()} | {name: _installed(name) for name in libraries}


def cpu_capability() -> str:
    """The instructions that torch uses here, by which last bits differ: AVX2, AVX512, …"""
    return str(torch.backends.cpu.get_cpu_capability())


@cache
def made_with(device: str, threads: int) -> str:
    """What decides the bytes of a file besides what its row says, as JSON text.

    Args:
        device: that stylized, without its number: cpu, cuda, …
        threads: of torch.
    """
    of_torch = {"device": device, "threads": threads, "cpu": cpu_capability()}
    return canonical_json(library_versions() | of_torch)
