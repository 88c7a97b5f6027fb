"""Backups of a server's database and folders together, and the servers that are made of them."""
