"""The device agent: an edge machine that measures models for others, and its client."""
