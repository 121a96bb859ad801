"""Who is measured, a module each. A method it does not have is a case that it does not have."""
