"""Turns what was asked (JobSpec) into what will run (JobPlan), by rules and by what earlier jobs taught."""
