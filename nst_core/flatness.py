"""When a pair's loss has flattened, so that more iterations would change little."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

# With short memories Adam's loss jumps from step to step, and its mean a little: two windows back
# a jump is told from the end.
WINDOW = 10
_WINDOWS_BACK = 2


@dataclass
class LossCurve:
    """The loss of one pair at one scale, smoothed: its mean over each WINDOW iterations.

    Attributes:
        iterations: so far.
        means: those that are known, oldest first.
    """

    iterations: int = 0
    means: list[float] = field(default_factory=list)
    _sum: float = 0.0

    @property
    def to_next_mean(self) -> int:
        """Iterations until the next mean is known."""
        return WINDOW - self.iterations % WINDOW

    def add(self, iterations: int, loss_sum: float) -> None:
        """Go on by some iterations, at most to the next mean; `loss_sum`: of their losses."""
        self.iterations += iterations
        self._sum += loss_sum
        if self.iterations % WINDOW == 0:
            self.means.append(self._sum / WINDOW)
            self._sum = 0.0

    @property
    def finite(self) -> bool:
        """False once a loss was not finite."""
        return math.isfinite(self._sum) and all(map(math.isfinite, self.means[-1:]))

    def is_flat(self, least_fall: float) -> bool:
        """Whether the newest mean is at most this share below that of 20 iterations before.

        Asked when a mean has just come in; of a share of 0 the answer is no.
        """
        if not least_fall or self.iterations % WINDOW or len(self.means) <= _WINDOWS_BACK:
            return False
        return self.means[-1] >= (1 - least_fall) * self.means[-1 - _WINDOWS_BACK]
