"""The ASGI side under bottle: the application as WSGI, requests that wait for a change, turns, and who wakes whom."""
