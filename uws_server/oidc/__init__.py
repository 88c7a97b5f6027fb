"""Sign-in at a provider of OpenID Connect: the way there and back, the keys, what is said of a person."""
