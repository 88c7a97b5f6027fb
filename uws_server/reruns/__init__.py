"""Running again what made a product, and comparing what came of it. Imports the job service and everything below."""
