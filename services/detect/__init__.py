"""Detectors: one interface, their homes (in process, Triton), and the catalogue of models."""
