"""The applications that are measured, and what loads them. Each is served by uvicorn in a process of its own."""
