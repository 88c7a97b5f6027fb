"""TAP_SCHEMA: the tables that there are, as the server itself tells them and as operators load them."""
