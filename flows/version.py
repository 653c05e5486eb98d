"""The versions that the metadata carries: gramflow's, and of what results depend on besides."""

import platform
from importlib.metadata import version as _installed

import torch

VERSION = _installed("gramflow")


def library_versions() -> dict[str, str]:
    """Of Python and of the libraries that make pixels."""
    libraries = ("torch", "albumentations", "pillow", "numpy")
    return {"python": platform.python_version()} | {name: _installed(name) for name in libraries}


def cpu_capability() -> str:
    """The instructions that torch uses here, by which last bits differ: AVX2, AVX512, …"""
    return str(torch.backends.cpu.get_cpu_capability())
