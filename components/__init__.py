"""The components of a job: each a folder with its logic and its thin KFP declaration (``component.py``)."""
