"""The last component: closes the job's record and removes what was only needed on the way."""
