"""What a number of cameras needs before anybody buys it: plans from measured costs, and a simulation of the line."""
