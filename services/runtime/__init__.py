"""What every stage shares: the stage protocol, the one main loop, settings, lifecycle, metrics, health and logs."""
