"""Policy: what is masked, how, and what happens when it can't be, as data for each camera."""
