"""Reruns of products, and the comparison of their results. Imports the job service and everything below."""
