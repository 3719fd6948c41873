"""Who may look at what: accounts, passwords, sessions, tokens, and single sign-on, for the REST API and the console."""
