"""Running again what made a product, and comparing what came of it. Imports the counter and everything below."""
