"""One module per step, each named after the version that it leads to."""
