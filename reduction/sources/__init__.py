"""Where the events of a source and of its background are taken: neighbours, the best radius, a ring without them."""
