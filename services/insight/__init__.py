"""Statistics from anonymous metadata: counts that never single out a person, kept in SQL, shown and exported."""
