"""The kernel: requests and responses, flows, operations, views, codecs and errors. No I/O, and nothing above it."""
