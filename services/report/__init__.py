"""Report: what a run did, as numbers for scripts and as one page for people. It never sees a source picture."""
