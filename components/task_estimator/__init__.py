"""Trains and scores: one candidate beside a worker (``tte``), and the winner in full at the end (``build``)."""
