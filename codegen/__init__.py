"""Writes `antiphon.types` and `antiphon.api` from the installed official package. Run `python -m codegen`."""
