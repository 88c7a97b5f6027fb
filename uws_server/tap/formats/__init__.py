"""The formats of query results, each written piece by piece as the rows come."""
