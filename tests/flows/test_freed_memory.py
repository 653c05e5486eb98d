"""What the process of a run does with memory that it is done with."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from tests.flows.conftest import JobFolder

# Faults a page of the tensors, after a chunk: 0 where they are made of the same memory each time.
# Then the MB that are held when 256 MB of tensors are gone, and those when the run is over.
SCRIPT = """
import resource, sys
from pathlib import Path

import torch

from flows.job import prepare
from flows.progress import Control
from flows.reading import read_for_run
from flows.work import work_chunk
from flows.workers.station import leave_run

job = prepare(read_for_run(Path(sys.argv[1])))
work_chunk(job.workshop, next(chunk for chunk in job.chunks() if chunk.pairs), Control())

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def held_mb():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20

megabytes, times = 16, 20
torch.zeros(megabytes * 2**18)
before = faults()
for _ in range(times):
    torch.zeros(megabytes * 2**18)
print((faults() - before) * resource.getpagesize() / (times * megabytes * 2**20))

before_mb = held_mb()
tensors = [torch.zeros(megabytes * 2**18) for _ in range(16)]
del tensors
print(held_mb() - before_mb)
leave_run("")
print(held_mb() - before_mb)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to keep memory")
def test_tensors_are_made_of_memory_that_others_are_done_with_until_a_run_is_over(
    job: JobFolder,
) -> None:
    # As Dask starts its workers.
    environment = os.environ | {"MALLOC_TRIM_THRESHOLD_": "65536"}
    command = [sys.executable, "-c", SCRIPT, str(job.manifest)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    faults, kept_mb, kept_after_mb = map(float, done.stdout.split())
    assert faults < 0.1
    assert kept_mb > 128
    assert kept_after_mb < 16
