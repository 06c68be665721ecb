"""Benchmarks of the search framework: problems x methods x seeds into one tidy table. Run with `python -m benchmarks.search`."""
