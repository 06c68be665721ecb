"""Surrogates beside the Gaussian process of `..gp`: forests, networks and their like. Each is loaded on first use."""
