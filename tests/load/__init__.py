"""Benchmarks of the town: each reports its figures with a reference measured in the same run."""
