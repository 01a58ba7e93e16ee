"""What makes the application explain itself; knows no blueprint."""
