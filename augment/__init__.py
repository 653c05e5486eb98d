"""Variants of one labelled image."""
