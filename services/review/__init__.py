"""Review: masks as an open format that a person may edit, and the same original rendered again from it."""
