"""Runs queries: read-only connections, limits of time, and what comes of one query."""
