"""The encoder: masked pictures in, redacted H.264 out, to the bus and to files, folders and servers."""
