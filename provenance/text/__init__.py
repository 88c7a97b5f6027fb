"""Text from outside and to outside: the one JSON reader, places in what it reads, what XML can hold, the errors."""
