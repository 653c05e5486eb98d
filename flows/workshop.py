"""What the images of chunks are made with, in whatever process: no plan, no list of the content."""

from __future__ import annotations

import platform
import threading
from dataclasses import dataclass, replace

import torch

from flows.engine import (
    CORES,
    Lanes,
    choose_device,
    choose_lanes,
    nominal_seconds,
    output_size,
    resolve_engine,
)
from flows.version import VERSION
from manifests.chunks import Chunk
from manifests.labels import Category
from manifests.ledger import Ledger
from manifests.listings import forget_listings
from manifests.plan import Engine
from manifests.reading import ReadManifest
from manifests.schema import Manifest, Pairing
from manifests.storage import Place
from manifests.stores import names_in
from nst_core import Stylizer

# Ends the messages of errors of those who work.
WHAT_TO_DO = "what is on record is kept; to go on, give the same command again"


class WorkersError(RuntimeError):
    """Those who are to work the chunks cannot, or are gone; the message says what to do."""


@dataclass(frozen=True)
class Workshop:
    """Attributes:
    stylizer: None where the manifest has no styles.
    lanes: how many chunks this process optimises at a time; others load, vary and write meanwhile.
    optimiser_slots: one is held by each chunk that optimises.
    """

    manifest: Manifest
    categories: tuple[Category, ...]
    engine: Engine
    stylizer: Stylizer | None
    ledger: Ledger
    out: Place
    lanes: Lanes
    optimiser_slots: threading.Semaphore

    @property
    def device(self) -> torch.device:
        return self.stylizer.device if self.stylizer else torch.device("cpu")

    def work(self, chunk: Chunk) -> float:
        """Nominal seconds of a chunk."""
        return sum(map(nominal_seconds(self.stylizer), chunk.bases))


@dataclass(frozen=True)
class Order:
    """From what another process opens its workshop; a few kilobytes, for it travels.

    Attributes:
        read: the manifest without content, styles and pairs.
        engine: as the starter resolved it; without encoder where the manifest has no styles.
        version: of the starter's gramflow.
    """

    read: ReadManifest
    categories: tuple[Category, ...]
    engine: Engine
    out: Place
    version: str = VERSION

    @staticmethod
    def of(read: ReadManifest, workshop: Workshop) -> Order:
        """The order for a workshop that makes the same."""
        listed = {"content": (), "styles": (), "pairing": Pairing()}
        small = replace(read, manifest=read.manifest.model_copy(update=listed), lines={})
        return Order(small, workshop.categories, workshop.engine, workshop.out)


def open_workshop(order: Order, cores: int = CORES) -> Workshop:
    """A workshop of this process, on the device that it sees first.

    Args:
        cores: of the CPU, that this process may use.

    Raises:
        WorkersError: here is another gramflow, another encoder or another output folder.
        EncoderUnavailable: when the encoder's weights cannot be had.
    """
    here = f"the worker on {platform.node()}"
    if order.version != VERSION:
        raise WorkersError(
            f"{here} has gramflow {VERSION}, the run was started by {order.version}; install the "
            "same version on both"
        )
    ledger = Ledger(order.out)
    # What a store held when this process last worked may be another by now.
    forget_listings()
    if not names_in(order.out / ".gramflow"):
        raise WorkersError(
            f"{here} sees no {order.out / '.gramflow'}; the output folder has to be the same one, "
            "under the same path, for the starter and all workers"
        )
    stylizer: Stylizer | None = None
    if order.engine.encoder:
        engine, stylizer = resolve_engine(order.read, ledger.style_grams_folder)
        if engine != order.engine:
            raise WorkersError(
                f"{here} has encoder {_named(engine)}, the run was started with "
                f"{_named(order.engine)}; results would differ: give both the same weights"
            )
    lanes = choose_lanes(choose_device(), output_size(order.read), cores)
    slots = threading.Semaphore(lanes.count)
    manifest = order.read.manifest
    return Workshop(
        manifest, order.categories, order.engine, stylizer, ledger, order.out, lanes, slots
    )


def _named(engine: Engine) -> str:
    return f"{engine.encoder} (sha256 {engine.encoder_sha256[:12]})"
