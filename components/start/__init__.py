"""The first component: checks the request, has the data prepared and the plan made."""
