"""The ASGI side under bottle: WSGI adapter, long polling, a throttle for each client, and their notifier."""
