"""Every use case once, for one caller, without HTTP: jobs, definitions and drafts, accounts, provenance.

Both doors ask `JobService` (and its `definitions`), `Drafts`, `ProvenanceReader` and `obscore.rows`, which check the
caller's rights; of the parts of a server in `context` they take themselves only the base address, the configuration and
the folder that uploads are spooled to (`tests/test_architecture.py` holds the list). Each use case names the parts it
uses in a protocol `Needs`, which `context.Services` has.
"""
