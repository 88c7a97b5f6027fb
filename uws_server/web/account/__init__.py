"""The pages of accounts: signing in and out, one's own account."""
