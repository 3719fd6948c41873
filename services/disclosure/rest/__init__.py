"""The desk over HTTP: the whole way of a request, for the console, for scripts, and for other systems of a house."""
