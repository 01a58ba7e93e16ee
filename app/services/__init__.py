"""What the application does, without HTTP: rules, transactions, records."""
