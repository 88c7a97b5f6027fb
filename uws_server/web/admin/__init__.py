"""The page for those who operate the server."""
