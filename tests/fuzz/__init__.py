"""The long search for failures (`make fuzz`): requests from the descriptions, and bytes for every reader."""
