"""The pipelines as they were compiled; ``python -m omniforge.pipelines.compiled`` writes them anew."""
