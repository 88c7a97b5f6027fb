"""TAP 1.1 at /tap: queries, the tables that there are, what the service can do, examples."""
