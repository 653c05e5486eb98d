"""The manifest's JSON Schema, for the completion and checks of editors."""

from __future__ import annotations

import json
from typing import Any

from manifests.schema import Manifest

# Editors know this draft in full, later ones in part; nothing here needs those.
_DRAFT = "http://json-schema.org/draft-07/schema#"


def manifest_schema() -> dict[str, Any]:
    """What the model takes, as JSON Schema. It refuses no manifest that the model takes."""
    return {"$schema": _DRAFT, **Manifest.model_json_schema()}


def schema_text() -> str:
    """The same as text: what `gramflow schema` prints and manifests/manifest.schema.json has."""
    return json.dumps(manifest_schema(), indent=1) + "\n"
