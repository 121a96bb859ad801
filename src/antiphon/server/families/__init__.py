"""One-line descriptions of the families of objects the generic engine keeps, a module per part of the API.

Each module has a tuple `FAMILIES` of `antiphon.server.kept.Kept` and `Single`.
"""
