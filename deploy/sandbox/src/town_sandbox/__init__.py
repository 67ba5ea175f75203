"""The outside world, simulated: real servers on loopback, each with its own record of what reached it."""
