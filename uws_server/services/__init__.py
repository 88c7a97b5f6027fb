"""Every use case once, for one caller, without HTTP: jobs, drafts, accounts, lineage; and what a server is made of."""
