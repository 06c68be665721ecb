"""Shows a person what the search learned and what to try next, as one self-contained HTML page."""
