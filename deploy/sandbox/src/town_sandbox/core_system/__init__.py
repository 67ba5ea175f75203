"""The vendors' core systems (基幹業務システム) of the businesses that the configuration names."""
