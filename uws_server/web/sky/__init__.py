"""The sky page: regions drawn on the sky, the exposures that see them, and the jobs that run over these."""
