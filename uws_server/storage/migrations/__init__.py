"""The history of the tables, for Alembic: one module in `versions` for each step, and what runs them.

A step is never changed once it was released. A new one: a module in `versions`, its revision at the end of
`uws_server.storage.migrate.REVISIONS`, the same change in `uws_server.storage.tables`.
"""
