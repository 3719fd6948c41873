"""The whole line in one process: five stages on a memory bus, for one file or a small site."""
