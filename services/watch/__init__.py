"""Looks at running services from outside: what their metrics say about every camera, stage and process."""
