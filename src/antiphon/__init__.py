"""Antiphon: the OpenAI API in Python, in both voices."""
