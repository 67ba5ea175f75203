"""The vendors' core systems (基幹業務システム) of 児童手当 (027) and 介護保険 (023)."""
