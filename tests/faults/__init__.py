"""The fault harness (`make faults`): load, faults, and counting from the client's own ledger."""
