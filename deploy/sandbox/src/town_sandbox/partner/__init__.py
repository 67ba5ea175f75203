"""The operator of a residents' app: registers a callback at the town and hears how its applications go on."""
