"""Sessions of the realtime API: `/v1/realtime` and `/v1/realtime/translations`."""
