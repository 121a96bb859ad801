"""FastAPI endpoints that answer with a model, each made of one function."""
