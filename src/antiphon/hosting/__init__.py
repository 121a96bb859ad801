"""A handler to the world: as an RSGI or ASGI application, and served by granian in the background."""
