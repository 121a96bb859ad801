"""The Open Inference Protocol: its messages, and a client of it over REST and one over gRPC."""
