"""Readers of datasets: one module a format, each from an entry of `content` to `Findings`."""
