"""A place outside the town where heads of its audit chains are kept, so that nobody inside can rewrite the past."""
