"""Fits a plan to the resources that are free: how many workers run, each with how much memory."""
