"""Broken builds (壊した版): what a fault run must find, or it finds nothing."""
