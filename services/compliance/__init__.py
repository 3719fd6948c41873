"""The report for a regulator: what each camera is for, what is masked and kept, who saw it, and what the law asks."""
