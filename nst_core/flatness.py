"""When a pair's loss has flattened, so that more iterations would change little."""

from __future__ import annotations

from dataclasses import dataclass

WINDOW = 10


@dataclass
class LossCurve:
    """The loss of one pair at one scale, smoothed: its mean over each WINDOW iterations.

    Attributes:
        iterations: so far.
    """

    iterations: int = 0
    _sum: float = 0.0
    _mean: float | None = None
    _mean_before: float | None = None

    @property
    def to_next_mean(self) -> int:
        """Iterations until the next mean is known."""
        return WINDOW - self.iterations % WINDOW

    def add(self, iterations: int, loss_sum: float) -> None:
        """Go on by some iterations, at most to the next mean; `loss_sum`: of their losses."""
        self.iterations += iterations
        self._sum += loss_sum
        if self.iterations % WINDOW == 0:
            self._mean_before, self._mean = self._mean, self._sum / WINDOW
            self._sum = 0.0

    @property
    def finite(self) -> bool:
        """False once a loss was not finite."""
        return all(one is None or abs(one) < float("inf") for one in (self._sum, self._mean))

    def is_flat(self, least_fall: float) -> bool:
        """Whether the last mean is less than this share below the one before it. Only asked
        right after a mean; 0 never is."""
        if not least_fall or self._mean is None or self._mean_before is None:
            return False
        return self.iterations % WINDOW == 0 and self._mean > (1 - least_fall) * self._mean_before
