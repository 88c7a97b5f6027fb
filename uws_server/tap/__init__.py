"""TAP: the tables that queries may name, ADQL to SQL, and queries as jobs."""
