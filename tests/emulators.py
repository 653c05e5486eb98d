"""Stores of Google and Azure on loopback, as `make test-stores` installs them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fsspec
import pytest

from tests.stores import BUCKET

_AZURITE_FOLDER = Path(__file__).parents[1] / ".venv/azurite/node_modules/.bin"
_OPTIONS = (
    *("--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--blobPort", "0"),
)
# Azurite's own, as its documentation tells.
_ACCOUNT = "devstoreaccount1"
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@contextmanager
def google() -> Iterator[None]:
    """gcp-storage-emulator with BUCKET in it; it takes every name and looks at no precondition."""
    reason = "no gcsfs or no gcp-storage-emulator: make test-stores"
    server_of = pytest.importorskip("gcp_storage_emulator.server", reason=reason).create_server
    server = server_of("127.0.0.1", 0, in_memory=True, default_bucket=BUCKET)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server._api._httpd.server_port}")
        patch.setenv("FSSPEC_GS_TOKEN", "anon")
        patch.setitem(fsspec.config.conf, "gs", {"token": "anon"})
        # The kind of a bucket is asked for by gRPC, which the emulator has not.
        patch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        try:
            pytest.importorskip("gcsfs", reason=reason)
            yield
        finally:
            server.stop()


@contextmanager
def azure() -> Iterator[None]:
    """Azurite with BUCKET in it."""
    pytest.importorskip("adlfs", reason="no adlfs: make test-stores")
    found = shutil.which("azurite-blob", path=_AZURITE_FOLDER)
    if found is None:
        pytest.skip("no Azurite: make test-stores")
    with subprocess.Popen([found, *_OPTIONS], stdout=subprocess.PIPE, text=True) as blobs:
        assert blobs.stdout is not None
        try:
            listens = next(line for line in blobs.stdout if "listens on" in line)
            address = listens.split()[-1]
            told = f"AccountName={_ACCOUNT};AccountKey={_KEY};BlobEndpoint={address}/{_ACCOUNT};"
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("AZURE_STORAGE_CONNECTION_STRING", told)
                fsspec.filesystem("az").mkdir(BUCKET)
                yield
        finally:
            blobs.terminate()
