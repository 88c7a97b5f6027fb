"""The pages of sessions in which work is kept: their list, one with its jobs, and taking over what nobody owns."""
