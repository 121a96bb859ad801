"""What a router asks: clients of any kind, and how the answers of each API are read as events."""
