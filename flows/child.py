"""What Python processes that this one starts have in common."""

from __future__ import annotations

import sys

# `python -m` imports from the present folder first, where a user may have any file: `click.py`
# would be taken for the package. So they are started in the folder of the Python they run on.
FOLDER = sys.prefix
# The same for what those start, from Python 3.11 on.
ENVIRONMENT = {"PYTHONSAFEPATH": "1"}
