"""Multi-fidelity search: configurations tried a little first, and continued where they promise something.

A fidelity is what is spent on a candidate (epochs, trees, a share of the rows), as one number between `low` and `high`. Nothing
here trains or stops anything: a strategy proposes a configuration at a fidelity, and the same one again at a higher fidelity.
"""
