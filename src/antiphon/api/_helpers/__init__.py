"""Methods of resources that are more than one operation, written by hand: the bases of the generated resources."""
