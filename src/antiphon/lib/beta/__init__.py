"""What is built on the beta operations of the API."""
