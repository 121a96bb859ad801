"""Turns on the wire: each module renders the same neutral pieces for one endpoint, whole and streamed."""
