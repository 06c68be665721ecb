"""The bundle that ``omniforge init`` starts a user with: its templates, and what writes them."""
