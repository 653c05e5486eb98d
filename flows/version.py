"""The version that the metadata carries."""

from importlib.metadata import version as _installed

VERSION = _installed("gramflow")
