"""The pages of the archive: the search bar, the observations that it finds, and each of them."""
