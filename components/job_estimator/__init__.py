"""The semi-synchronous controller of a search: what to try next, how long to wait, when to go on."""
