"""Detectors: one interface, their homes (in process, Triton: deploy/triton/README.md), and the catalogue of models."""
