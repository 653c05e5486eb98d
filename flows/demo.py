"""The demo: real photographs bundled with scikit-image, styles painted by this project."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from PIL import Image

from flows.painter import paint_styles
from manifests.json_schema import schema_text

# Function of skimage.data -> class folder; all are in the package itself, free to use.
_PHOTOGRAPHS = {
    "chelsea": "cat",
    "astronaut": "person",
    "coffee": "cup",
    "rocket": "rocket",
}
_JPEG_QUALITY = 95


def prepare_demo(folder: Path) -> Path:
    """Photographs in class folders, painted styles, manifest and schema; returns the manifest.

    Raises:
        ValueError: where scikit-image is not installed.
    """
    try:
        from skimage import data
    except ImportError:
        raise ValueError("the demo needs scikit-image: pip install 'gramflow[demo]'") from None
    for name, class_name in _PHOTOGRAPHS.items():
        file = folder / "photos" / class_name / f"{name}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            Image.fromarray(getattr(data, name)()).save(file, quality=_JPEG_QUALITY)
    if not (folder / "styles").exists():
        paint_styles(folder / "styles")
    manifest = folder / "demo.yaml"
    example = resources.files("manifests") / "examples" / "demo.yaml"
    # The schema is looked for where the manifest says, from its own folder.
    text = example.read_text(encoding="utf-8").replace("=../manifest.schema", "=manifest.schema")
    manifest.write_text(text, encoding="utf-8")
    (folder / "manifest.schema.json").write_text(schema_text(), encoding="utf-8")
    return manifest
