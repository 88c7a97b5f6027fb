"""Text on its way in and out: JSON of strangers read with the place of each mistake, what XML can hold, the errors."""
