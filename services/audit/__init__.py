"""The audit log: who looked at, searched, disclosed, changed or destroyed what, in chains that show tampering.

Import from the modules: a service that only tells needs `log`, one that brings events to the bus `publish`.
"""
